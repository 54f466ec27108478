"""PO's loss."""

import torch

from tests.viker.methods.checks import gradients, random_inputs, settings_of
from tests.viker.methods.plain import likelihood, retain, rows
from viker.methods.po import METHOD, po_loss


def written_out(inputs, settings):
    return -likelihood(rows(inputs.refusal_logits, inputs.refusal_answers)) - likelihood(retain(inputs))


def test_it_learns_refusals_and_retain_answers_and_leaves_the_true_answers_alone():
    g = random_inputs()
    by_name = gradients(lambda inputs: METHOD(inputs, settings_of(METHOD)), g)
    assert (by_name["logits"] == 0).all()
    moved = {name: getattr(g, name) - 0.5 * by_name[name] for name in ("refusal_logits", "retain_logits")}
    others = (g.refusal_answers, g.retain_answers)
    before = po_loss(g.logits, g.answers, g.refusal_logits, others[0], g.retain_logits, others[1])
    after = po_loss(g.logits, g.answers, moved["refusal_logits"], others[0], moved["retain_logits"], others[1])
    assert all(after[part] < before[part] for part in ("refusal_nll", "nll"))
    assert torch.equal(after["ga"], before["ga"])
