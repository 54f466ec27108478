"""How a model under attack is asked where its memory runs out."""

from tests.viker.models.short_memory import short_of_memory
from viker.data.samples import sample_of
from viker.models.fast_path import fallbacks


def test_replies_that_go_on_or_are_drawn_are_asked_for_in_smaller_passes_where_memory_runs_out(subjects, targets):
    subject, samples = subjects[1], [sample_of(record) for record in targets.forget[:5]]
    with short_of_memory(subject.model, float("inf")) as passes:
        expected = subject.continuations(samples, "test")
    with short_of_memory(subject.model, max(passes) - 1):
        assert subject.continuations(samples, "test") == expected
        drawn = subject.drawn_replies(samples, 1.0, 3, 7, "test")
        assert drawn == subject.drawn_replies(samples, 1.0, 3, 7, "test")
    assert [len(replies) for replies in drawn] == [3] * 5
    assert {one["what"] for one in fallbacks()} == {"full batch of continued or drawn replies"}
