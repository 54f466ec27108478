"""What every method must hold to, on random tensors in float64."""

from typing import Any

import torch
from torch import Tensor

from viker.methods.base.method import Inputs, Method, MethodSettings
from viker.models.encoder import IGNORED

V, D = 7, 5
SIDES = {
    "forget": ("logits", "answers", "teacher", "vanilla_logits", "hidden"),
    "retain": ("retain_logits", "retain_answers", "retain_vanilla", "retain_hidden", "retain_vanilla_hidden"),
    "refusal": ("refusal_logits", "refusal_answers", "refusal_vanilla_logits"),
}
TRAINED = ("logits", "retain_logits", "refusal_logits", "hidden", "retain_hidden")


def settings_of(method: Method, **changes: Any) -> MethodSettings:
    """The method's default settings with changes; a required key has the example that its field declares."""
    fields = method.settings.model_fields
    required = {name: field.examples[0] for name, field in fields.items() if field.examples}
    return method.settings(**required | changes)


def random_inputs(seed: int = 0) -> Inputs:
    """Two forget answers of 4 and 2 tokens, three retain answers of 3, 1 and 2, two refusals of 2 and 3."""
    generator = torch.Generator().manual_seed(seed)

    def logits(rows: int, width: int, size: int = V) -> Tensor:
        return torch.randn(rows, width, size, generator=generator, dtype=torch.float64)

    def answers(width: int, *lengths: int) -> Tensor:
        ids = torch.randint(0, V, (len(lengths), width), generator=generator)
        for row, length in enumerate(lengths):
            ids[row, : width - length] = IGNORED
        return ids

    return Inputs(
        logits=logits(2, 4),
        answers=answers(4, 4, 2),
        teacher=(2 * logits(2, 4)).softmax(-1),
        vanilla_logits=logits(2, 4),
        retain_logits=logits(3, 3),
        retain_answers=answers(3, 3, 1, 2),
        retain_vanilla=logits(3, 3).softmax(-1),
        refusal_logits=logits(2, 3),
        refusal_answers=answers(3, 2, 3),
        refusal_vanilla_logits=logits(2, 3),
        hidden=logits(2, 4, D),
        retain_hidden=logits(3, 3, D),
        retain_vanilla_hidden=logits(3, 3, D),
    )


def gradients(loss_of, inputs: Inputs) -> dict[str, Tensor]:
    """The loss's gradient by each of the trained logits, zeros where it takes none of them."""
    leaves = {name: getattr(inputs, name).clone().requires_grad_() for name in TRAINED}
    loss = loss_of(Inputs(**vars(inputs) | leaves))["loss"]
    values = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, values, strict=True))


def by_logits(loss, inputs: Inputs) -> Tensor:
    logits = inputs.logits.clone().requires_grad_()
    return torch.autograd.grad(loss(logits), logits)[0]


class MethodChecks:
    """The common suite; the fixture ``loss_of`` gives a method as the trainer calls it: ``Inputs`` -> parts."""

    def test_every_part_is_one_finite_number(self, loss_of):
        parts = loss_of(random_inputs())
        assert "loss" in parts
        assert all(value.shape == () and value.isfinite() for value in parts.values())

    def test_hopeless_and_certain_answers_stay_finite(self, loss_of):
        inputs = random_inputs()
        for name in TRAINED:
            setattr(inputs, name, 80 * getattr(inputs, name))
        inputs.teacher = torch.nn.functional.one_hot(inputs.teacher.argmax(-1), V).double()
        assert all(value.isfinite() for value in loss_of(inputs).values())
        assert all(gradient.isfinite().all() for gradient in gradients(loss_of, inputs).values())

    def test_the_gradient_is_that_of_central_differences(self, loss_of):
        inputs, step = random_inputs(), 1e-5
        for name, gradient in gradients(loss_of, inputs).items():
            logits = getattr(inputs, name)
            numeric = torch.zeros_like(logits)
            for place in range(logits.numel()):
                ends = []
                for sign in (1, -1):
                    moved = logits.clone()
                    moved.view(-1)[place] += sign * step
                    ends.append(loss_of(Inputs(**vars(inputs) | {name: moved}))["loss"])
                numeric.view(-1)[place] = (ends[0] - ends[1]) / (2 * step)
            torch.testing.assert_close(gradient, numeric, rtol=1e-6, atol=1e-8)

    def test_positions_without_an_answer_token_get_no_gradient(self, loss_of):
        inputs = random_inputs()
        by_name = gradients(loss_of, inputs)
        for side in SIDES.values():
            for name in set(side) & set(TRAINED):
                assert (by_name[name][getattr(inputs, side[1]) == IGNORED] == 0).all()

    def test_padding_changes_nothing(self, loss_of):
        inputs, wider = random_inputs(), random_inputs()
        for side in SIDES.values():
            for name in side:
                narrow = getattr(inputs, name)
                more = (len(narrow), 3, *narrow.shape[2:])
                fill = torch.full(more, IGNORED) if narrow.ndim == 2 else torch.rand(more) * 90
                setattr(wider, name, torch.cat([fill.to(narrow.dtype), narrow], dim=1))
        for name, value in loss_of(inputs).items():
            torch.testing.assert_close(loss_of(wider)[name], value, rtol=1e-14, atol=1e-14)

    def test_the_order_of_a_batch_changes_nothing(self, loss_of):
        inputs, turned = random_inputs(), random_inputs()
        for side in SIDES.values():
            for name in side:
                setattr(turned, name, getattr(inputs, name).flip(0))
        for name, value in loss_of(inputs).items():
            torch.testing.assert_close(loss_of(turned)[name], value, rtol=1e-12, atol=1e-14)

    def test_a_small_step_down_the_gradient_lowers_the_loss(self, loss_of):
        inputs = random_inputs()
        by_name = gradients(loss_of, inputs)
        size = 0.05 / max(1.0, *(float(gradient.norm()) for gradient in by_name.values()))  # RMU's alpha is 1200
        moved = {name: getattr(inputs, name) - size * gradient for name, gradient in by_name.items()}
        assert loss_of(Inputs(**vars(inputs) | moved))["loss"] < loss_of(inputs)["loss"]

    def test_the_frozen_model_and_the_teacher_get_no_gradient(self, loss_of):
        inputs = random_inputs()
        frozen = [n for side in SIDES.values() for n in side if "answers" not in n and n not in TRAINED]
        leaves = {name: getattr(inputs, name).clone().requires_grad_() for name in (*frozen, *TRAINED)}
        loss = loss_of(Inputs(**vars(inputs) | leaves))["loss"]
        by_frozen = torch.autograd.grad(loss, [leaves[name] for name in frozen], allow_unused=True)
        assert all(gradient is None for gradient in by_frozen)
