"""Who becomes champion, in every combination; and that nothing else is changed."""

import json
import shutil
from pathlib import Path

import pytest

from tests.registry import POLICY, passed_checks, put_aliases
from viker.evidence.seal import seal
from viker.gate.doubts import Policy
from viker.gate.judge import judge
from viker.gate.policies import load_policy
from viker.registry.promotion import Refused, objections, promote, rollback
from viker.registry.stored import Coverage, Record
from viker.registry.versions import CHAMPION, FORCED

ADAPTER, DATA = "a" * 64, "d" * 64
FRESH = "fresh"
STALE = {
    FRESH: "",
    "measured again": "stale: the metrics were measured again after the gate",
    "another adapter": "foreign: it is about another adapter",
    "another data": "foreign: it is about another data",
    "no adapter": "its adapter is not where it was stored",
    "another policy": "stale: it was judged by the policy 'strict', params.yaml now says the policy",
    "a changed policy": "has other rules now",
    "other rules": "stale: it was judged by other rules than those of the section gate",
    "an edited verdict": "gate record was edited",
    "edited metrics": "metrics were edited",
    "no verdict": "no gate record",
}
LACKING = "does not forget 002 of the requests r2, which version 7 does: they would be known again"
KEPT = {"no champion": None, "covered": frozenset({"001"}), "lacking": frozenset({"001", "002"})}


def a_record(params, tmp_path, verdict: str, staleness: str) -> tuple[Record, Policy]:
    """A version that forgets 001 for r1, with a verdict; and the policy of params.yaml now."""
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    gate = params.gate.model_copy(update={"policy": str(path), "rules": [], "require": []})
    leakage = 0.0 if verdict == "pass" else 0.4
    metrics = seal({"unlearned": {"forget": {"leakage_rate": leakage}}, "vanilla": {"forget": {"leakage_rate": 1.0}}})
    policy, sha256 = load_policy(gate)
    judged = judge(policy, metrics, passed_checks()) | {
        "policy": "strict" if staleness == "another policy" else str(path),
        "policy_sha256": "old" if staleness == "a changed policy" else sha256,
        "own": {"rules": ["more"] if staleness == "other rules" else [], "require": []},
        "inputs": {"adapter": ADAPTER, "data": DATA, "metrics": metrics["digest"]},
    }
    judged["inputs"] |= {"another adapter": {"adapter": "b" * 64}, "another data": {"data": "b" * 64}}.get(
        staleness, {}
    )
    judged = seal(judged)
    if staleness == "an edited verdict":
        judged["verdict"] = "pass"
        judged["rules"] = [judged["rules"][0] | {"reason": "edited"}]
    if staleness == "edited metrics":
        metrics["unlearned"] = {}
    if staleness == "measured again":
        metrics = seal(metrics | {"again": 1})
    hashes = {"adapter": None if staleness == "no adapter" else ADAPTER, "data": DATA}
    covers = Coverage(frozenset({"r1"}), frozenset({"001"}))
    return Record(8, {} if staleness == "no verdict" else judged, metrics, hashes, covers), Policy(gate, sha256)


@pytest.mark.parametrize("verdict", ["pass", "fail"])
@pytest.mark.parametrize("staleness", STALE)
@pytest.mark.parametrize("kept", KEPT)
def test_every_objection_is_raised_alone_and_together(params, tmp_path, verdict, staleness, kept):
    record, policy = a_record(params, tmp_path, verdict, staleness)
    people = KEPT[kept]
    champion = None if people is None else 7
    forgotten = Coverage(frozenset(f"r{one[-1]}" for one in people or ()), people or frozenset())

    against = objections(record, policy, forgotten, champion)

    failed = verdict == "fail" and staleness != "no verdict"
    expected = [text for text in (STALE[staleness], "its gate failed" if failed else "") if text]
    expected += [LACKING] if kept == "lacking" else []
    assert len(against) == len(expected)
    assert all(text in clause for text, clause in zip(expected, against, strict=True)), against


def test_the_word_of_a_verdict_does_not_make_up_for_a_rule_that_failed(params, tmp_path):
    record, policy = a_record(params, tmp_path, "fail", FRESH)
    gate = seal(dict(record.gate) | {"verdict": "pass"})
    lying = Record(record.version, gate, record.metrics, record.hashes, record.coverage)
    against = objections(lying, policy, Coverage(), None)
    assert "its verdict is 'pass', its rules say 'fail'" in against[0] and "its gate failed" in against[1]


def test_a_verdict_whose_rules_were_cut_or_weakened_does_not_count(params, tmp_path):
    record, policy = a_record(params, tmp_path, "fail", FRESH)
    lenient = dict(record.gate["rules"][0]) | {"rule": "unlearned.forget.leakage_rate <= 0.99", "passed": True}
    for change in ({"rules": []}, {"rules": [lenient]}, {"require": []}):
        gate = seal(dict(record.gate) | change | {"verdict": "pass"})
        lying = Record(record.version, gate, record.metrics, record.hashes, record.coverage)
        assert "its verdict" in objections(lying, policy, Coverage(), None)[0]


@pytest.mark.parametrize("policy", ["benchmark", None])
def test_a_gate_that_is_for_no_release_makes_no_champion(params, tmp_path, policy):
    rules = ["unlearned.forget.leakage_rate <= 0.99"]
    gate = params.gate.model_copy(update={"policy": policy, "rules": rules, "require": []})
    assert any("is not for a release" in one for one in objections(*a_pass_by(gate), Coverage(), None))


def a_pass_by(gate) -> tuple[Record, Policy]:
    """Return a version that meets every rule of a gate."""
    policy, sha256 = load_policy(gate)
    block = dict.fromkeys(("leakage_rate", "rouge_l"), 1.0) | {"samples": 100}
    vanilla = dict.fromkeys(("forget", "test", "retain", "real"), block)
    forgotten = {split: block | {"leakage_rate": 0.0} for split in ("forget", "test")}
    unlearned = vanilla | forgotten | {"fluency": {"gibberish_rate": 0.0}}
    metrics = seal({"vanilla": vanilla, "unlearned": unlearned})
    judged = judge(policy, metrics, passed_checks())
    assert judged["verdict"] == "pass"
    own = {"rules": gate.rules, "require": gate.require}
    judged |= {"policy": gate.policy, "policy_sha256": sha256, "own": own}
    judged["inputs"] = {"adapter": ADAPTER, "data": DATA, "metrics": metrics["digest"]}
    return Record(8, seal(judged), metrics, {"adapter": ADAPTER, "data": DATA}, Coverage()), Policy(gate, sha256)


def test_requests_of_people_nobody_names_count_too(params, tmp_path):
    record, policy = a_record(params, tmp_path, "pass", FRESH)
    assert "of the requests r9" in objections(record, policy, Coverage(frozenset({"r9"})), 7)[0]


ALIASES = {"none": {}, "1": {"champion": 1}, "2": {"champion": 2, "previous": 1}}


def stored(work, version: int) -> Path:
    return Path(work.client.get_model_version_download_uri(work.name, str(version)).removeprefix("file://"))


@pytest.fixture
def damaged(history):
    """Damages what is stored with a version, and puts it back afterwards."""
    copies = []

    def damage(version: int, how: str) -> None:
        folder = stored(history, version)
        copy = history.folder / f"kept-{version}"
        shutil.copytree(folder, copy)
        copies.append((folder, copy))
        if how == "adapter":
            (folder / "artifacts/adapter/adapter_config.json").write_text("{}")
        elif how == "verdict":
            path = folder / "evidence/gate.json"
            path.write_text(path.read_text().replace('"fail"', '"pass"').replace("false", "true"))
        elif how == "evidence":
            shutil.rmtree(folder / "evidence")

    yield damage
    for folder, copy in copies:
        shutil.rmtree(folder)
        copy.replace(folder)


@pytest.mark.parametrize(
    ("version", "before", "damage", "refusal"),
    [
        (1, "none", None, None),
        (2, "none", None, None),
        (2, "1", None, None),
        (2, "2", None, "already"),
        (1, "2", None, r"version 1 does not forget 002 of the requests r2, which version 2 does"),
        (4, "1", None, r"version 4 does not forget 001 of the requests r1"),
        (4, "2", None, r"version 4 does not forget 001, 002 of the requests r1, r2"),
        (3, "none", None, r"its gate failed: unlearned\.forget\.leakage_rate is 0\.4"),
        (3, "2", None, r"its gate failed"),
        (3, "none", "verdict", r"edited after the gate wrote it"),
        (2, "1", "adapter", r"foreign: it is about another adapter"),
        (2, "1", "evidence", r"no gate record"),
        (4, "1", "adapter", r"another adapter .*does not forget 001"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_the_champion_moves_only_where_nothing_speaks_against_it(
    history, damaged, version, before, damage, refusal, force
):
    put_aliases(history, ALIASES[before])
    if damage:
        damaged(version, damage)
    tags = history.registry.tags(version)
    reason = "court order 7" if force else None

    if refusal in (None, "already") or force:
        moved = promote(history.registry, version, history.policy, reason)
        overruled = refusal not in (None, "already")
        assert bool(moved.overrode) == overruled
        assert moved.moved == (refusal != "already")
        was = ALIASES[before].get(CHAMPION)
        now = ALIASES[before] | ({"champion": version} | ({"previous": was} if was else {}) if moved.moved else {})
        assert history.aliases() == {"candidate": 4} | now
        assert history.registry.tags(version).get(FORCED) == ("court order 7" if overruled else None)
        if moved.moved:
            how = history.registry.promotion(version)
            assert how["done"] and how["replaces"] == was
            assert how.get("reason") == ("court order 7" if overruled else None)
    else:
        with pytest.raises(Refused, match=refusal) as refused:
            promote(history.registry, version, history.policy)
        assert "Nothing was changed" in str(refused.value) and "--force --reason" in str(refused.value)
        assert history.aliases() == {"candidate": 4} | ALIASES[before]
        assert history.registry.tags(version) == tags


def test_a_policy_that_has_changed_since_makes_the_verdict_stale(history):
    put_aliases(history, {})
    stricter = history.params.gate.model_copy(update={"rules": ["unlearned.forget.leakage_rate <= 0.01"]})
    with pytest.raises(Refused, match="stale: it was judged by other rules"):
        promote(history.registry, 1, Policy(stricter))


def test_a_version_inherits_the_requests_of_the_adapter_that_it_started_from(history):
    assert history.registry.coverage(2) == Coverage(frozenset({"r1", "r2"}), frozenset({"001", "002"}))
    assert history.registry.tags(2)["requests"] == "r1, r2"


def test_the_stage_register_does_not_promote_what_would_bring_people_back(history):
    registered = history.last
    assert (registered["version"], registered["aliases"]) == (4, ["candidate"])
    assert (
        len(registered["refused"]) == 1 and "001, 002" in registered["refused"][0] and registered["promotion"] is None
    )


def test_a_champion_that_was_replaced_is_not_promoted_again_by_repeating_its_stage(work):
    work.register()
    work.unlearn(seed=1)
    work.evaluate(leakage=0.0)
    work.register()
    rollback(work.registry, {})
    assert work.register()["aliases"] == ["candidate"]
    assert work.aliases()["champion"] == 1


def test_a_rollback_brings_the_previous_champion_back(work):
    for seed in (1, 2, 3):
        work.unlearn(seed=seed)
        work.evaluate()
        work.register()
    assert work.aliases() == {"candidate": 3, "champion": 3, "previous": 2}
    moved = rollback(work.registry, {}, "a reason that nothing needs")
    assert (moved.version, moved.replaced, moved.moved) == (2, 3, True)
    how = work.registry.promotion(2)
    assert how["kind"] == "rollback" and "reason" not in how
    assert work.aliases() == {"candidate": 3, "champion": 2, "previous": 1}
    rollback(work.registry, {})
    assert work.aliases() == {"candidate": 3, "champion": 1}
    with pytest.raises(Exception, match=r"no version before the champion \(1\) to go back to"):
        rollback(work.registry, {})


def test_a_rollback_that_would_bring_people_back_is_refused_and_names_them(history):
    put_aliases(history, {"champion": 2, "previous": 1})
    with pytest.raises(Refused, match=r"version 1 does not forget 002 of the requests r2, carried out since"):
        rollback(history.registry, {})
    assert history.aliases() == {"candidate": 4, "champion": 2, "previous": 1}
    moved = rollback(history.registry, {}, "the adapter breaks the product")
    assert moved.overrode and history.aliases()["champion"] == 1
    assert history.registry.tags(1)[FORCED] == "the adapter breaks the product"


def test_requests_that_are_marked_as_carried_out_count_for_a_rollback(history):
    put_aliases(history, {"champion": 1, "previous": 2})
    with pytest.raises(Refused, match="version 2 does not forget 009 of the requests by-hand"):
        rollback(history.registry, {"by-hand": ["009"]})


def test_what_became_of_a_forced_version_is_in_the_record_for_the_report(history):
    from viker.registry.registration import update_registration

    put_aliases(history, {"champion": 2})
    out = history.folder / "metrics/register.json"
    assert json.loads(out.read_text())["version"] == 4
    promote(history.registry, 4, history.policy, "the audit asks for it")
    update_registration(history.registry, out)
    record = json.loads(out.read_text())
    assert record["aliases"] == ["candidate", "champion"] and record["refused"] == []
    assert record["promotion"]["reason"] == "the audit asks for it" and record["promotion"]["replaces"] == 2
    assert "does not forget" in record["promotion"]["overrode"][0] and "done" not in record["promotion"]
    assert history.register() == record  # the stage again says the same
