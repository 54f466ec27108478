"""``viker verify``: a bundle is whole, adds up, and its verdict is judged again."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.cli.verify import check, verify
from tests.viker.report.conftest import finished, inputs  # noqa: F401 - fixtures
from tests.viker.report.work_tree import Inputs
from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.evidence.bundle import pack, unpack
from viker.evidence.seal import check_seal, seal

ROOT = Path(__file__).parents[2]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def once(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811 - a fixture
    made = Inputs(tmp_path_factory.mktemp("passed") / "work")
    shutil.copytree(finished, made.folder)
    made.set("upper(unlearned.test.leakage_rate) <= 0.15", "upper(unlearned.test.leakage_rate) <= 0.5")
    made.judge()
    made.write()
    assert json.loads((made.folder / "metrics/gate.json").read_text())["verdict"] == "pass"
    return made.folder


@pytest.fixture
def passed(once: Path, tmp_path: Path) -> Inputs:
    """A run whose gate passed, with its report and bundle."""
    shutil.copytree(once, tmp_path / "passed")
    return Inputs(tmp_path / "passed")


def viker(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli.main", "verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_a_whole_bundle_of_a_passed_gate_is_told_so(passed: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    verify(passed.bundle)
    said = capsys.readouterr().out
    assert "whole, 9 files; the verdict follows from the metrics" in said
    assert "gate: pass (rules of params.yaml)" in said
    assert re.search(r"SHA-256 [0-9a-f]{64}", said)


def test_exit_codes_tell_a_failed_gate_from_a_changed_bundle(inputs: Inputs) -> None:  # noqa: F811 - a fixture
    inputs.write()
    failed = viker(str(inputs.bundle))
    assert (failed.returncode, failed.stderr) == (3, "")
    assert "whole, 9 files" in failed.stdout and "gate: fail" in failed.stdout
    content = inputs.bundle.read_bytes()
    inputs.bundle.write_bytes(content.replace(b"leakage_rate", b"leakage_rata", 1))
    changed = viker(str(inputs.bundle))
    assert changed.returncode == 1
    assert re.match(r"error: .*evidence\.zip is not as it was written: metrics/evaluate\.json: SHA-256", changed.stderr)
    assert changed.stderr.strip().count("\n") == 0
    assert viker("--nonsense", "x").returncode == 2


def test_the_bundle_is_checked_from_itself_alone(passed: Inputs, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere/evidence.zip"
    alone.parent.mkdir()
    alone.write_bytes(passed.bundle.read_bytes())
    for path in passed.folder.rglob("*"):
        if path.is_file():
            path.unlink()
    verify(alone)


def test_its_folder_verifies_too(passed: Inputs, tmp_path: Path) -> None:
    with zipfile.ZipFile(passed.bundle) as archive:
        archive.extractall(tmp_path / "evidence")
    verify(tmp_path / "evidence")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_any_changed_byte_of_a_real_bundle_is_found(passed: Inputs, data: st.DataObject) -> None:
    original = passed.folder / "original.zip"
    if not original.exists():
        original.write_bytes(passed.bundle.read_bytes())
    content = bytearray(original.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    passed.bundle.write_bytes(content)
    with pytest.raises(UserError, match="not as it was written"):
        verify(passed.bundle)


def forged(bundle: Path, name: str, change: Change, sealed: bool = True) -> dict[str, bytes]:
    """Return the files of a bundle with one changed as by somebody who writes the bundle's hashes anew."""
    files = unpack(bundle)
    content = json.loads(files[name])
    change(content)
    files[name] = json.dumps(seal(content) if sealed else content).encode()
    bundle.write_bytes(pack(files))
    return unpack(bundle)


def rate(value: float) -> Change:
    return lambda metrics: metrics["unlearned"]["forget"].update(leakage_rate=value)


def rule(**changes: Any) -> Change:
    return lambda gate: gate["rules"][0].update(changes)


@pytest.mark.parametrize(
    ("name", "change", "sealed", "said"),
    [
        ("metrics/evaluate.json", rate(0.05), False, "evaluate.json was edited: its digest doesn't match"),
        ("metrics/evaluate.json", rate(0.05), True, "judged other metrics than those"),
        ("metrics/evaluate.json", rate(0.9), True, "the verdict is 'pass', judged again it is 'fail'"),
        ("metrics/evaluate.json", rate(0.9), True, "'unlearned.forget.leakage_rate <= 0.10' has another result"),
        ("metrics/gate.json", lambda gate: gate.update(verdict="fail"), False, "gate.json was edited"),
        ("metrics/gate.json", lambda gate: gate.update(verdict="fail"), True, "judged again it is 'pass'"),
        ("metrics/gate.json", rule(value=0.01), True, "has another result"),
        ("metrics/gate.json", rule(threshold=0.9), True, "has another result"),
        ("metrics/gate.json", lambda gate: gate.update(rules=[]), True, "has no rules, or some that can't be read"),
        ("metrics/gate.json", lambda gate: gate["rules"].pop(), True, "are not those of the policy"),
        (
            "metrics/gate.json",
            lambda gate: gate["own"].update(rules=["a.b <= 1"]),
            True,
            "other rules than params",
        ),
        ("metrics/gate.json", lambda gate: gate["inputs"].update(adapter="f" * 64), True, "another adapter"),
        ("metrics/gate.json", lambda gate: gate["inputs"].update(params="f" * 64), True, "seed or evaluate differ"),
        ("metrics/gate.json", lambda gate: gate.update(policy="../x"), True, "there is no policy '../x'"),
        ("metrics/gate.json", lambda gate: gate["require"][0].update(passed=False), True, "judged again it is 'fail'"),
        ("metrics/gate.json", lambda gate: gate["inputs"].update(unlearning="f" * 64), True, "another unlearning run"),
        ("unlearning/summary.json", lambda trained: trained.update(method="x"), False, "summary.json was edited"),
        ("unlearning/summary.json", lambda trained: trained.update(method="x"), True, "another unlearning run"),
        (
            "metrics/gate.json",
            lambda gate: gate.update(note="x"),
            True,
            "about another metrics/gate.json",
        ),
    ],
)
def test_a_bundle_that_was_forged_and_hashed_anew_does_not_add_up(
    passed: Inputs, name: str, change: Change, sealed: bool, said: str
) -> None:
    files = forged(passed.bundle, name, change, sealed)
    assert check_seal(json.loads(files[name])) == sealed
    assert any(said in problem for problem in check(files)), check(files)
    with pytest.raises(UserError, match="does not add up"):
        verify(passed.bundle)


def test_a_report_about_another_verdict_does_not_add_up(passed: Inputs) -> None:
    files = unpack(passed.bundle)
    files["report.html"] = files["report.html"].replace(
        b'"viker-verdict" content="pass"', b'"viker-verdict" content="fail"'
    )
    assert check(files) == ["report.html is about another verdict"]


def test_other_parameters_do_not_add_up(passed: Inputs) -> None:
    files = unpack(passed.bundle)
    seed = files["params.yaml"].replace(b"seed: 7\n", b"seed: 8\n")
    assert check(files | {"params.yaml": seed}) == ["params.yaml is not what the gate saw: seed or evaluate differ"]


@pytest.mark.parametrize("name", ["metrics/evaluate.json", "metrics/gate.json", "params.yaml", "report.html"])
def test_a_bundle_that_lacks_a_file_is_said_so(passed: Inputs, name: str) -> None:
    files = {key: content for key, content in unpack(passed.bundle).items() if key != name}
    with pytest.raises(UserError, match=re.escape(name)):
        check(files)


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_json_is_said_so(passed: Inputs, content: bytes) -> None:
    with pytest.raises(UserError, match=r"metrics/gate\.json of the bundle"):
        check(unpack(passed.bundle) | {"metrics/gate.json": content})


def test_the_rules_of_a_shipped_policy_are_held_to_the_policy(inputs: Inputs) -> None:  # noqa: F811 - a fixture
    inputs.set("policy: null", "policy: default")
    inputs.judge()
    inputs.write()
    assert check(unpack(inputs.bundle)) == []
    files = forged(inputs.bundle, "metrics/gate.json", lambda gate: gate["rules"].pop(0))
    assert any("are not those of the policy 'default'" in problem for problem in check(files))


def test_rules_on_the_unlearning_run_are_judged_again_from_its_summary(inputs: Inputs) -> None:  # noqa: F811 - a fixture
    inputs.set('  rules: ["', '  rules: ["unlearning.private_tokens.values_kept <= 12", "')
    inputs.judge()
    inputs.write()
    assert check(unpack(inputs.bundle)) == []
    files = forged(inputs.bundle, "unlearning/summary.json", lambda one: one["private_tokens"].update(values_kept=13))
    assert any("values_kept <= 12' has another result" in problem for problem in check(files))


def test_a_policy_of_ones_own_is_compared_where_its_file_is(inputs: Inputs, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    policy = tmp_path / "mine.yaml"
    text = "about: Ours.\nrequire: []\nrules: [{rule: unlearned.forget.leakage_rate <= 0.2, protects: Leaks.}]\n"
    policy.write_text(text)
    inputs.set("policy: null", f"policy: {policy}")
    inputs.judge()
    inputs.write()
    assert check(unpack(inputs.bundle)) == []
    forged(inputs.bundle, "metrics/gate.json", lambda gate: gate["rules"].pop(0))
    assert any("are not those of the policy" in problem for problem in check(unpack(inputs.bundle)))
    policy.write_text(text.replace("0.2", "0.3"))  # another file of that name proves nothing
    assert not any("are not those of the policy" in problem for problem in check(unpack(inputs.bundle)))


def test_a_policy_of_another_version_is_judged_by_what_the_bundle_names(inputs: Inputs) -> None:  # noqa: F811 - a fixture
    inputs.set("policy: null", "policy: default")
    inputs.judge()
    inputs.write()
    files = forged(inputs.bundle, "metrics/gate.json", lambda gate: gate.update(policy_sha256="0" * 64))
    assert not any("are not those of the policy" in problem for problem in check(files))


def test_metrics_that_were_stale_and_failed_for_it_are_honest_evidence(inputs: Inputs) -> None:  # noqa: F811 - a fixture
    (inputs.folder / "models/adapter/weights").write_bytes(b"trained on")
    inputs.judge()
    inputs.write()
    assert check(unpack(inputs.bundle)) == []


def test_the_sha256_that_was_kept_is_compared(passed: Inputs) -> None:
    kept = sha256_bytes(passed.write())
    verify(passed.bundle, sha256=kept.upper())
    files = unpack(passed.bundle)
    passed.bundle.write_bytes(pack(files | {"lineage.json": b"{}"}))
    verify(passed.bundle)  # whoever rewrites all hashes is found by the one that was kept
    with pytest.raises(UserError, match=f"its SHA-256 is .*, expected {kept}"):
        verify(passed.bundle, sha256=kept)


def test_the_adapter_that_is_deployed_can_be_compared(passed: Inputs) -> None:
    adapter = passed.folder / "models/adapter"
    verify(passed.bundle, adapter=adapter)
    (adapter / "weights").write_bytes(b"another")
    with pytest.raises(UserError, match=r"the adapter judged has SHA-256 [0-9a-f]{64}, .*models/adapter has"):
        verify(passed.bundle, adapter=adapter)
    with pytest.raises(UserError, match=r"no such folder\. Give the adapter's"):
        verify(passed.bundle, adapter=passed.folder / "none")
