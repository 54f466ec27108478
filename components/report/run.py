"""The report: one HTML file with the evidence of an unlearning run, and a bundle of it that anyone can check."""

from collections.abc import Sequence
from pathlib import Path

from components.contract.params import Params
from viker.core.files import new_file, sha256_path
from viker.core.provenance import code_version, package_versions
from viker.evidence.bundle import json_bytes, pack
from viker.evidence.seal import params_digest
from viker.gate.doubts import Policy
from viker.report.load import Paths, check_evidence, load
from viker.report.page import render
from viker.report.run_details import params_text, registration


def run(params: Params, paths: Paths, earlier: Sequence[Path], out: Path, bundle: Path) -> bytes:
    """Write the report to ``out`` and the evidence bundle to ``bundle``; return it, the same bytes for the same inputs.

    ``earlier``: metrics of earlier runs, for the plot of forget against retain.

    Raises UserError: an input is missing or broken, was edited, or is about something else; nothing is written then.
    """
    inputs = load(paths, earlier)
    digest = params_digest(params.seed, params.values()["evaluate"])
    check_evidence(paths, inputs, digest, Policy(params.gate))
    code, versions = code_version(paths.params.resolve().parent), package_versions()
    values = params.values()
    text = params_text(values, inputs)
    html = render(values, inputs, text, code, versions).encode()

    lineage = {
        "code": code,
        "versions": versions,
        "redacted": params.report.redact,
        # Hashes of what stays behind: the bundle holds no replies and no data.
        "not_included": {
            "predictions": sha256_path(paths.predictions),
            "key_tokens": sha256_path(paths.unlearning / "key_tokens.parquet"),
            "data": sha256_path(paths.prepared / "manifest.json"),
        },
    }
    records = ("summary.json", "loss.csv", "entropy.csv")
    files = {"report.html": html, "params.yaml": text.encode(), "lineage.json": json_bytes(lineage)}
    files |= {"metrics/evaluate.json": paths.metrics.read_bytes(), "metrics/gate.json": paths.gate.read_bytes()}
    files |= {f"unlearning/{name}": (paths.unlearning / name).read_bytes() for name in records}
    registered = registration(inputs.registered, params.report.redact)
    if registered is not None:
        files["metrics/register.json"] = json_bytes(registered)
    content = pack(files)
    with new_file(out) as page, new_file(bundle) as packed:
        page.write_bytes(html)
        packed.write_bytes(content)
    return content
