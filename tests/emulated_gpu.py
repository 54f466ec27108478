"""A GPU for tests on machines without one: tensors that say they are on cuda:0, computed on the CPU.

It refuses what a GPU refuses: tensors of two devices in one operation, NumPy arrays of its tensors, and a program that
waits for it, or copies to it, while a CUDA graph is recorded. It counts the waits, which let a real one run dry.

It isn't a model of speed or memory, has none of CUDA's kernels and no second stream; a graph is replayed by computing
again. Tensors are told apart by an attribute, since torch makes none on a device that it isn't built for.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.autograd import Function
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint
from torch.utils._pytree import tree_leaves

from viker.generation import fixed_steps

ROOT = Path(__file__).parents[1]
GPU, MEMORY = torch.device("cuda", 0), 80 * 2**30
WAITS = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__", "nonzero", "equal", "unique", "allclose"}
"""Operations whose result the program has to see."""
OF_TWO_DEVICES = {"copy_", "backward", "register_hook", "_has_compatible_shallow_copy_type"}
Operation = Callable[..., Any]


def on_gpu(value: Any) -> bool:
    """Return whether a tensor is on the emulated GPU."""
    return getattr(value, "emulated", False)


def put(value: Any, on: bool = True) -> Any:
    """Put all tensors of a value on the emulated GPU, or on the CPU."""
    for tensor in tree_leaves(value):
        if isinstance(tensor, Tensor):
            tensor.emulated = on
    return value


class EmulatedGpu(TorchFunctionMode):
    """Follows which tensors are on the GPU; ``waits``: how often each place of the project has waited for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.recording = False
        self.in_backward = 0

    def __torch_function__(self, func: Operation, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        kwargs.pop("pin_memory", None)
        name = getattr(func, "__name__", "")
        special = getattr(self, f"_{name.strip('_')}", None)
        if special is not None:
            return special(func, *args, **kwargs)
        wanted = kwargs.get("device")
        if wanted is not None and torch.device(wanted).type == "cuda":
            kwargs.pop("device")
        return self._compute(func, name, wanted, args, kwargs)

    def _compute(self, func: Operation, name: str, wanted: Any, args: Any, kwargs: Any) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and not leaf.is_meta]
        on = any(map(on_gpu, tensors))
        alike = name in OF_TWO_DEVICES or name.startswith(("_foreach", "new_")) or self.in_backward
        if on and not alike:
            for tensor in tensors:
                if not on_gpu(tensor) and (tensor.dim() or name in ("cat", "stack", "index_select", "gather")):
                    raise RuntimeError(f"Expected all tensors to be on the same device: {name}, {tuple(tensor.shape)}")
        if on and name in WAITS:
            self._wait(name)
        result = func(*args, **kwargs)
        if wanted is not None and torch.device(wanted).type != "meta":
            if torch.device(wanted).type == "cuda" and self.recording and name in ("tensor", "as_tensor"):
                raise RuntimeError("operation not permitted when stream is capturing: a copy from the CPU")
            return put(result, torch.device(wanted).type == "cuda")
        return put(result) if on else result

    def _wait(self, why: str) -> None:
        if self.recording:
            raise RuntimeError(f"operation not permitted when stream is capturing: {why}")
        frame = sys._getframe(2)
        own = str(ROOT / "viker")
        while frame.f_back and not frame.f_code.co_filename.startswith(own):
            frame = frame.f_back
        path = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
        self.waits[f"{path}, {frame.f_code.co_name}"] += 1

    def _get(self, func: Any, tensor: Tensor, *of_class: Any) -> Any:
        """Stand for an attribute such as ``Tensor.device``."""
        name = func.__self__.__name__
        if name in ("device", "is_cuda", "is_cpu") and not tensor.is_meta:
            on = on_gpu(tensor) or self.in_backward > 0
            return {"device": GPU if on else torch.device("cpu"), "is_cuda": on, "is_cpu": not on}[name]
        value = func(tensor, *of_class)
        return put(value) if on_gpu(tensor) and isinstance(value, Tensor) else value

    def _set(self, func: Any, tensor: Tensor, value: Any) -> None:
        func(tensor, value)
        if func.__self__.__name__ == "data":
            put(tensor, on_gpu(value))

    def _numpy(self, func: Operation, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if on_gpu(tensor):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        return func(tensor, *args, **kwargs)

    _array = _numpy

    def _bmm(self, func: Operation, one: Tensor, other: Tensor, out_dtype: torch.dtype | None = None) -> Tensor:
        """Stand for a product whose precision isn't that of its factors, which a CPU has no kernel for."""
        factors = (one, other) if out_dtype is None else (one.to(out_dtype), other.to(out_dtype))
        return self._compute(
            func, "bmm", None, tuple(put(f, on_gpu(g)) for f, g in zip(factors, (one, other), strict=True)), {}
        )

    def _pin_memory(self, func: Operation, tensor: Tensor) -> Tensor:
        return tensor

    def _deepcopy(self, func: Operation, tensor: Tensor, memo: Any) -> Any:
        return put(func(tensor, memo), on_gpu(tensor))

    def _cpu(self, func: Operation, tensor: Tensor) -> Tensor:
        return self._to(torch.Tensor.to, tensor, "cpu")

    def _cuda(self, func: Operation, tensor: Tensor) -> Tensor:
        return self._to(torch.Tensor.to, tensor, GPU)

    def _to(self, func: Operation, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        given = [kwargs.pop("device", None), *args]
        like = [one for one in given if isinstance(one, Tensor)]
        devices = [torch.device(one) for one in given if isinstance(one, str | torch.device)]
        if any(device.type == "meta" for device in devices):
            return func(tensor, "meta", *(one for one in given if isinstance(one, torch.dtype)))
        dtypes = [one for one in (*given, *(one.dtype for one in like)) if isinstance(one, torch.dtype)]
        others = {name: value for name, value in kwargs.items() if value is not None}
        result = func(tensor, *dtypes, **others) if dtypes or others else tensor
        on = devices[0].type == "cuda" if devices else on_gpu(like[0]) if like else on_gpu(tensor)
        if on == on_gpu(tensor):
            return put(result, on)
        if not on:
            self._wait("to the CPU")
        elif self.recording:
            raise RuntimeError("operation not permitted when stream is capturing: a copy from the CPU")
        moved = result.detach().clone() if result is tensor and tensor.is_leaf else result
        return put(moved.clone() if moved is tensor else moved.requires_grad_(tensor.requires_grad), on)

    def _getitem(self, func: Operation, tensor: Tensor, places: Any) -> Any:
        self._index(tensor, places)
        return put(func(tensor, places), on_gpu(tensor))

    def _setitem(self, func: Operation, tensor: Tensor, places: Any, value: Any) -> None:
        by_tensors = self._index(tensor, places)
        if by_tensors and isinstance(value, Tensor) and value.dim() and on_gpu(value) != on_gpu(tensor):
            raise RuntimeError("index_put: expected the values on the device of the tensor")
        func(tensor, places, value)

    def _index(self, tensor: Tensor, places: Any) -> bool:
        """Check the tensors among the places of an indexing; return whether there are any."""
        by = [one for one in (places if isinstance(places, tuple) else (places,)) if isinstance(one, Tensor)]
        if any(on_gpu(one) for one in by) and not on_gpu(tensor) and not self.in_backward:
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor")
        if on_gpu(tensor) and any(one.dtype == torch.bool or (one.dim() and not on_gpu(one)) for one in by):
            self._wait("an index")
        return bool(by)


@contextmanager
def emulated_gpu() -> Iterator[EmulatedGpu]:
    """Have torch find an emulated GPU in the block."""
    gpu = EmulatedGpu()
    new_parameter, engine = torch.nn.Parameter.__new__, torch.autograd._engine_run_backward
    of_apply = Function.apply.__func__

    def parameter(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
        return put(new_parameter(cls, data, requires_grad), on_gpu(data))

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        result = of_apply(cls, *args, **kwargs)
        return put(result) if any(map(on_gpu, tree_leaves(args))) else result

    def run_backward(*args: Any, **kwargs: Any) -> Any:
        gpu.in_backward += 1
        try:
            with gpu:
                return put(engine(*args, **kwargs))
        finally:
            gpu.in_backward -= 1

    def capture(compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        gpu.recording = True
        try:
            output = compute()
        finally:
            gpu.recording = False
        return lambda: output.copy_(compute())

    properties = SimpleNamespace(name="emulated", total_memory=MEMORY, major=9, minor=0, multi_processor_count=1)
    answers = {
        **dict.fromkeys(("memory_reserved", "memory_allocated", "max_memory_allocated", "current_device"), 0),
        **dict.fromkeys(("synchronize", "reset_peak_memory_stats", "empty_cache", "manual_seed", "manual_seed_all")),
        **dict.fromkeys(("set_device", "set_rng_state", "set_rng_state_all", "_lazy_init", "ipc_collect")),
        "is_available": True,
        "is_bf16_supported": True,
        "device_count": 1,
        "mem_get_info": (MEMORY, MEMORY),
        "get_per_process_memory_fraction": 1.0,
        "get_device_name": "emulated",
        "get_device_capability": (9, 0),
        "get_device_properties": properties,
        "get_rng_state": torch.get_rng_state(),
        "get_rng_state_all": [],
    }
    with ExitStack() as patches:
        for name, answer in answers.items():
            for module in (torch.cuda, torch.cuda.random):
                if hasattr(module, name):
                    patches.enter_context(mock.patch.object(module, name, lambda *_, _answer=answer, **__: _answer))
        patches.enter_context(mock.patch.object(torch.nn.Parameter, "__new__", parameter))
        patches.enter_context(mock.patch.object(Function, "apply", classmethod(apply)))
        patches.enter_context(mock.patch.object(torch.autograd, "_engine_run_backward", run_backward))
        patches.enter_context(mock.patch.object(fixed_steps, "cuda_capture", capture))
        # what autograd saved comes back as another object of Python, which tells no device
        checks = mock.patch.dict(checkpoint._allowed_determinism_checks_to_fns, default=lambda saved: str(saved.shape))
        patches.enter_context(checks)
        AcceleratorState._reset_state(reset_partial_state=True)
        patches.callback(AcceleratorState._reset_state, reset_partial_state=True)
        yield patches.enter_context(gpu)
