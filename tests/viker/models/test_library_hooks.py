"""The private parts of libraries that the project reaches into: these fail where a new version changes them."""

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn.parallel import DistributedDataParallel
from transformers.models.llama.modeling_llama import LlamaAttention, apply_rotary_pos_emb

from viker.models.library_hooks import leave_out_of_ddp, switch_adapter, with_global


def test_ddp_leaves_out_the_parameters_that_it_is_told(tmp_path):
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        leave_out_of_ddp(module, ["0.weight", "0.bias"])
        wrapped = DistributedDataParallel(module)
        reduced: list[int] = []

        def count(_: object, bucket: torch.distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
            reduced.extend(gradient.numel() for gradient in bucket.gradients())
            done: torch.futures.Future[torch.Tensor] = torch.futures.Future()
            done.set_result(bucket.buffer())
            return done

        wrapped.register_comm_hook(None, count)
        wrapped(torch.ones(1, 2)).sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    assert sorted(reduced) == [2, 4]  # of the second layer alone


def test_attention_of_transformers_calls_the_rotation_by_its_name():
    calls = []
    forward = with_global(LlamaAttention.forward, "apply_rotary_pos_emb", calls)
    assert forward is not None and forward.__globals__["apply_rotary_pos_emb"] is calls
    assert LlamaAttention.forward.__globals__["apply_rotary_pos_emb"] is apply_rotary_pos_emb
    assert with_global(LlamaAttention.forward, "no_such_name", calls) is None


def test_an_adapter_switched_off_adds_nothing_and_goes_on_where_it_was():
    base = torch.nn.Sequential(torch.nn.Linear(3, 3))
    given, plain = torch.ones(1, 3), base(torch.ones(1, 3))
    adapted = get_peft_model(base, LoraConfig(target_modules=["0"], init_lora_weights=False))
    told = adapted(given)
    layers = [module for module in adapted.modules() if isinstance(module, BaseTunerLayer)]
    switch_adapter(layers, on=False)
    assert len(layers) == 1 and torch.equal(adapted(given), plain) and not torch.equal(told, plain)
    switch_adapter(layers, on=True)
    assert torch.equal(adapted(given), told)
    assert [p.requires_grad for name, p in adapted.named_parameters() if "lora" in name] == [True, True]
