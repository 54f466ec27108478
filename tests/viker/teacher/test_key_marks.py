"""Marks of key tokens: what each divides, that it does so again, and answers of one token or of equal ones."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from viker.data.records import read_records
from viker.data.samples import sample_of
from viker.metrics.base.words import normalise
from viker.models.entropy import entropy
from viker.teacher.distributions import full
from viker.teacher.key_marks import ROUNDS, key_tokens, mixture_threshold, otsu_threshold, quantile_threshold
from viker.teacher.key_tokens import entropy_histogram, find_key_tokens, key_token_rows
from viker.teacher.target import uncertain

MARKS = ("fixed", "quantile", "otsu", "mixture")
ANSWERS = [
    torch.tensor([0.01, 0.02, 2.1, 0.01, 0.03, 0.02, 2.4, 0.0, 0.01, 0.02]),
    torch.tensor([0.02, 0.01, 0.02, 1.9, 0.0]),
]
ADAPTIVE = MARKS[1:]


@pytest.mark.parametrize("mark", MARKS)
def test_each_mark_finds_uncertain_tokens_among_certain_ones(mark):
    keys = key_tokens(ANSWERS, mark)
    assert [list(torch.nonzero(one)[:, 0]) for one in keys] == [[2, 6], [3]]
    assert all(one.dtype == torch.bool for one in keys)


@pytest.mark.parametrize("mark", ADAPTIVE)
def test_an_adaptive_mark_finds_them_at_any_level(mark):
    low = [one / 20 for one in ANSWERS]
    assert not any(one.any() for one in key_tokens(low, "fixed"))
    assert [int(one.sum()) for one in key_tokens(low, mark)] == [2, 1]


@pytest.mark.parametrize("mark", MARKS)
def test_the_same_scores_give_the_same_marks_whatever_was_drawn_before(mark):
    torch.manual_seed(3)
    scores = [torch.rand(n).square() * 3 for n in (1, 7, 40)]
    first = key_tokens(scores, mark)
    torch.manual_seed(4)
    assert all(torch.equal(one, other) for one, other in zip(first, key_tokens(scores, mark), strict=True))
    assert key_tokens([], mark) == []


@pytest.mark.parametrize("mark", ADAPTIVE)
@pytest.mark.parametrize("scores", [[0.7], [0.7] * 6, [0.0] * 6])
def test_one_token_or_equal_ones_have_no_higher_part(mark, scores):
    (keys,) = key_tokens([torch.tensor(scores)], mark)
    assert keys.tolist() == [False] * len(scores)
    (keys,) = key_tokens([torch.tensor(scores)], "fixed")
    assert keys.tolist() == [scores[0] > 0.5] * len(scores)


@pytest.mark.parametrize("mark", MARKS)
def test_a_token_above_a_key_one_of_its_answer_is_key(mark):
    torch.manual_seed(5)
    for scores in (torch.rand(30).pow(4) * 4 for _ in range(20)):
        (keys,) = key_tokens([scores], mark)
        if keys.any() and not keys.all():
            assert scores[keys].min() > scores[~keys].max()


@pytest.mark.parametrize("length", [1, 4, 5, 10, 23])
def test_the_quantile_takes_a_fifth_at_most(length):
    scores = torch.linspace(0, 1, length, dtype=torch.float64)
    assert int((scores > quantile_threshold(scores)).sum()) == length // 5


def test_otsu_is_the_division_of_the_largest_variance_between_classes():
    torch.manual_seed(6)
    scores = torch.rand(25, dtype=torch.float64)

    def between(bound: float) -> float:
        high = scores > bound
        if high.all() or not high.any():
            return -1.0
        share = high.double().mean()
        return float(share * (1 - share) * (scores[high].mean() - scores[~high].mean()) ** 2)

    best = max(scores.tolist(), key=between)
    assert otsu_threshold(scores) == best


def test_the_mixture_divides_two_normal_distributions_between_their_means():
    quantiles = torch.linspace(0.005, 0.995, 200, dtype=torch.float64)
    spread = torch.special.ndtri(quantiles) * 0.3
    scores = torch.cat([(-4 + spread).exp(), (0.5 + spread[::4]).exp()])
    assert mixture_threshold(scores) == float(scores[: len(spread)].max())


@pytest.mark.parametrize("seed", range(6))
def test_the_mixture_is_that_of_scikit_learn_where_both_parts_overlap(seed):
    """From the same beginning, Otsu's division of the logarithms."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(-3, 0.9, 150), rng.normal(0, 0.5, 40 + 20 * seed)])
    parts = [x[x <= (bound := otsu_threshold(torch.tensor(x)))], x[x > bound]]
    theirs = GaussianMixture(
        2,
        weights_init=[len(part) / len(x) for part in parts],
        means_init=[[part.mean()] for part in parts],
        precisions_init=[[[1 / part.var()]] for part in parts],
        tol=0,
        max_iter=ROUNDS,
    )
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # it can't converge to 0
        lower = theirs.fit_predict(x[:, None]) == np.argmin(theirs.means_[:, 0])
    expected = x[lower & (x < theirs.means_.max())].max()
    assert np.log(mixture_threshold(torch.tensor(np.exp(x) - 1e-3)) + 1e-3) == pytest.approx(expected)


def test_parts_without_spread_are_divided_too():
    assert mixture_threshold(torch.tensor([0.0] * 10 + [2.0] * 2, dtype=torch.float64)) == 0.0
    assert otsu_threshold(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)) == 0.0  # as good as at 1: the lower one


def test_each_mark_goes_by_its_own_threshold_of_an_answer_or_of_all():
    torch.manual_seed(8)
    scores = [torch.rand(n, dtype=torch.float64).pow(6) * 4 for n in (12, 30, 9)]
    expected = {
        "quantile": [one > quantile_threshold(one) for one in scores],
        "otsu": [one > otsu_threshold(one) for one in scores],
        "mixture": [one > mixture_threshold(torch.cat(scores)) for one in scores],
        "fixed": [one > 0.7 for one in scores],
    }
    found = {mark: key_tokens(scores, mark, 0.7) for mark in MARKS}
    for mark in MARKS:
        assert all(torch.equal(one, other) for one, other in zip(found[mark], expected[mark], strict=True)), mark
    assert len({tuple(torch.cat(marks).tolist()) for marks in found.values()}) == len(MARKS), "all differ here"


@pytest.fixture
def taught(small_model, prepared):
    """Three samples with their encoder, and a teacher's distributions of each, some certain and some not."""
    _, encoder = small_model
    samples = [sample_of(record) for record in read_records(prepared, "forget") if record.task == "qa"][:3]
    torch.manual_seed(7)
    lengths = [encoder.encode(sample)[1] for sample in samples]
    return encoder, samples, [(torch.randn(n, 400) * torch.rand(n, 1) * 20).softmax(-1) for n in lengths]


def test_the_records_have_the_teachers_probability_and_what_it_leaves_of_the_pressure(taught):
    encoder, samples, teachers = taught
    rows = key_token_rows(samples, teachers, encoder, find_key_tokens(samples, teachers, encoder, 0.5))
    expected = [teachers[0][t, token].item() for t, token in enumerate(encoder.answer_ids(samples[0]).tolist())]
    assert rows["probability"][: len(expected)].tolist() == pytest.approx(expected)
    assert rows["gradient_weight"].tolist() == pytest.approx((1 - rows["probability"]).tolist())
    bins = entropy_histogram(rows)
    filled = bins[bins["tokens"] > 0]
    total = (filled["gradient_weight"] * filled["tokens"]).sum()
    assert total == pytest.approx(rows["gradient_weight"].sum(), abs=1e-3)


def test_the_records_and_the_target_follow_the_mark(taught):
    encoder, samples, teachers = taught
    keys = torch.cat(key_tokens([entropy(one) for one in teachers], "otsu"))
    marked = find_key_tokens(samples, teachers, encoder, 0.5, "otsu")
    rows = key_token_rows(samples, teachers, encoder, marked)
    assert rows["key"].tolist() == keys.tolist() and 0 < keys.sum() < len(keys)
    targets = uncertain(encoder, samples, teachers, marked)
    pairs = zip(targets, teachers, strict=True)
    changed = torch.cat([(full(one) - p).abs().sum(-1) > 1e-6 for one, p in pairs])
    assert changed[keys].any() and not changed[~keys].any()


def test_known_private_values_are_key_whatever_their_entropy(small_model, prepared):
    _, encoder = small_model
    records = [r for r in read_records(prepared, "forget") if r.task == "qa" and r.secrets][:3]
    samples = [sample_of(record) for record in records]
    teachers = [torch.full((encoder.encode(sample)[1], 400), 1 / 400) for sample in samples]  # all as uncertain
    values = [records[0].secrets, [], ["no such value"]]
    known, nothing, absent = find_key_tokens(samples, teachers, encoder, 0.5, "private_values", values)
    ids = encoder.answer_ids(samples[0])
    assert normalise(records[0].secrets[0]) in normalise(encoder.tokenizer.decode(ids[known]))
    assert not known[-1] and 0 < known.sum() < len(known)
    assert nothing.all() and absent.all()  # there the entropy decides
    assert not any(own.any() for own in find_key_tokens(samples[1:], teachers[1:], encoder, 99, "private_values"))
