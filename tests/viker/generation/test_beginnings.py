"""What prompts begin with alike is computed once, and their replies are those of prompts that share nothing."""

from dataclasses import replace

import pytest
import torch
from transformers.models.llava.modeling_llava import LlavaModel

from tests.viker.generation.test_generate import greedy
from viker.data.samples import Sample
from viker.generation.beginnings import LEFT, WORTHWHILE, shared_beginnings
from viker.generation.decode import decode
from viker.generation.fixed_steps import Steps
from viker.models.fast_path import fallbacks
from viker.models.shared_prefix import Prefixes, Prompt

EXAMPLES = {
    "born": "".join(f"Where was person {i} born? In town {i}.\n" for i in range(12)),
    "trade": "".join(f"Which trade has person {i}? Trade number {i} of all.\n" for i in range(9)),
}
ENDS = ("Where was this person born?", "Who is this, and where does this person live?", "Which trade?")
ASKED = [
    Sample(f"{shown}{examples}{end}", EXAMPLES[examples] + end, "Oslo.", shown)
    for shown in ("scene-0", "scene-1")
    for examples in EXAMPLES
    for end in ENDS
] + [Sample("alone", "Who?", "Ada.", "scene-1"), Sample("other", EXAMPLES["born"][:-3] + "?", "Ada.", "scene-0")]
WITHOUT = [replace(sample, picture="") for sample in ASKED]
MOST = 6


def prompt(row: int, *tail: int) -> Prompt:
    return Prompt(ASKED[0], row, list(tail), [0])


def test_beginnings_and_rests_are_the_prompts():
    long, longer = list(range(WORTHWHILE)), list(range(WORTHWHILE + 40))
    prompts = [
        prompt(0, *longer, 500, 501, 502),
        prompt(0, *longer, 600, 601),
        prompt(1, *longer, 700, 701),  # of another picture
        prompt(0, *long[:-1], 800, 801, 802),  # begins alike for too few tokens
        prompt(1, *long, 900, 901),
        prompt(0, 1, 2),
    ]
    shared = shared_beginnings(prompts)
    assert shared is not None
    heads = [shared.prompts[row] for row in shared.rows]
    for whole, head, length, rest in zip(prompts, heads, shared.lengths, shared.rests, strict=True):
        assert head.tail[:length] + rest.tail == whole.tail and rest.row == whole.row and len(rest.tail) >= LEFT
        assert length in (0, len(head.tail)) and (head.row == whole.row or not length)
    assert shared.lengths == [WORTHWHILE + 40] * 2 + [WORTHWHILE, 0, WORTHWHILE, 0]
    assert shared.rows[0] == shared.rows[1] and len(shared.prompts) == 2


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_prompt_or_a_short_beginning_shares_nothing(count):
    assert shared_beginnings([prompt(0, *range(WORTHWHILE + 50))] * (count % 2)) is None
    assert shared_beginnings([prompt(0, *range(WORTHWHILE + LEFT - 1))] * count) is None


@torch.no_grad()
@pytest.mark.parametrize("asked", [ASKED, WITHOUT, ASKED[:2]], ids=["pictures", "no picture", "one beginning"])
def test_replies_are_those_of_one_prompt_at_a_time(talkative, monkeypatch, asked):
    model, encoder = talkative
    expected = [greedy(model, encoder, sample, MOST) for sample in asked]
    prefixes = Prefixes(model, encoder, asked)
    tokens, forward = [], LlavaModel.forward

    def counted(self, *args, **named):
        tokens.append(named["input_ids"].numel())
        return forward(self, *args, **named)

    monkeypatch.setattr(LlavaModel, "forward", counted)
    steps = Steps(prefixes, prefixes.prompts, MOST)
    first = steps.first_logits()
    whole = len(asked) * max(len(one.tail) for one in prefixes.prompts)
    assert sum(tokens) < 0.7 * whole, "computed once for all that begin alike"
    monkeypatch.undo()
    alone = [model(**encoder.prompts([sample]), use_cache=False).logits[0, -1] for sample in asked]
    torch.testing.assert_close(first, torch.stack(alone), atol=1e-3, rtol=1e-4)
    said = decode(prefixes, prefixes.prompts, MOST, cascade=True)
    assert [text.strip() for text in encoder.tokenizer.batch_decode(said, skip_special_tokens=True)] == expected
    assert fallbacks() == []
