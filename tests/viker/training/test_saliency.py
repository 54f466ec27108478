"""Which weights of the adapter may forget, and that the others don't."""

import pytest
import torch

from tests.viker.training.test_training import samples, teachers, trainer_of  # noqa: F401 - fixtures
from viker.methods.base.tokens import mean_log_likelihood
from viker.models.logits import answer_logits
from viker.training.saliency import masked_ascent, mean_squared_gradients


def test_ascent_reaches_the_unmasked_weights_alone_and_the_rest_of_the_loss_all():
    model = torch.nn.Linear(3, 2).double()
    x, y = torch.randn(4, 3).double(), torch.randn(4, 3).double()
    ga, nll = (model(x) ** 2).mean(), (model(y) ** 4).mean()
    mask = {"weight": torch.tensor([[True, False, True], [False, False, True]]), "bias": torch.tensor([False, True])}
    of_ga, of_nll = (torch.autograd.grad(part, list(model.parameters()), retain_graph=True) for part in (ga, nll))
    loss = masked_ascent(ga + nll, ga, model, mask)
    assert loss.item() == pytest.approx((ga + nll).item(), rel=1e-12)
    loss.backward()
    for weight, g, n, m in zip(model.parameters(), of_ga, of_nll, mask.values(), strict=True):
        torch.testing.assert_close(weight.grad, m * g + n, rtol=1e-12, atol=1e-14)


def test_the_squared_gradients_are_means_over_the_batches(trainer_of, samples):  # noqa: F811 - a fixture
    trainer = trainer_of(method="mmunlearner")
    found = mean_squared_gradients(trainer.model, trainer.encoder, samples["forget"][:4], 2)
    expected = {name: torch.zeros_like(value) for name, value in found.items()}
    for start in (0, 2):
        batch = trainer.encoder.batch(samples["forget"][start : start + 2])
        trainer.model.zero_grad()
        mean_log_likelihood(answer_logits(trainer.model, batch), batch.answers).backward()
        for name, weight in trainer.model.named_parameters():
            if weight.requires_grad:
                expected[name] += weight.grad**2 / 2
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-12)
    assert any("lora_B" in name and value.any() for name, value in found.items())


def test_where_every_weight_may_forget_it_is_graddiff_and_elsewhere_not(trainer_of):  # noqa: F811 - a fixture
    trained = {}
    for threshold in (1e-30, 1e30):
        trainer = trainer_of(method={"name": "mmunlearner", "threshold": threshold}, max_grad_norm=0.0)
        trainer.train()
        trained[threshold] = {name: p.detach() for name, p in trainer.model.named_parameters() if p.requires_grad}
    graddiff = trainer_of(method="graddiff", max_grad_norm=0.0)
    graddiff.train()
    free = {name: p.detach() for name, p in graddiff.model.named_parameters() if p.requires_grad}
    for name, value in free.items():
        torch.testing.assert_close(trained[1e-30][name], value, rtol=1e-4, atol=1e-6)
    assert any(not torch.allclose(trained[1e30][name], value, atol=1e-4) for name, value in free.items())


def test_the_mask_of_a_run_is_found_again(trainer_of):  # noqa: F811 - a fixture
    one, other = (trainer_of(method="mmunlearner") for _ in range(2))
    shares = [float(mask.float().mean()) for name, mask in one.saliency.items() if "lora_B" in name]
    assert 0 < sum(shares) / len(shares) < 1
    other.train()
    assert all(torch.equal(one.saliency[name], other.saliency[name]) for name in one.saliency)
    assert trainer_of(method="graddiff").saliency is None
