"""What the report says of where it comes from, also where something is missing."""

import json
import re

from tests.viker.report.html import Page
from tests.viker.report.work_tree import Inputs


def test_lineage_names_hashes_version_and_parameters(inputs: Inputs) -> None:
    html = inputs.render()
    metrics = json.loads((inputs.folder / "metrics/evaluate.json").read_text())
    for digest in (*metrics["inputs"].values(), metrics["digest"]):
        assert f"<code>{digest}</code>" in html
    assert re.search(r"viker-adapter version 3\s+\(candidate\)", html)
    assert re.search(r"^  key_token_entropy: 0.5$", html, re.MULTILINE)
    assert re.search(r'<th scope="row">torch</th><td>2\.', html)


def test_what_an_input_lacks_is_a_dash(inputs: Inputs) -> None:
    (inputs.folder / "data/prepared/manifest.json").write_text("{}")
    (inputs.folder / "metrics/register.json").write_text('{"model_name": "viker-adapter"}')
    html = inputs.render()
    assert "viker-adapter version –" in html
    assert re.search(r"retain<small>everyone else</small></th><td>–</td><td>–</td><td>–</td>", html)
    assert "None" not in Page(html).text()


def test_an_adapter_that_was_not_registered_has_a_report_too(inputs: Inputs) -> None:
    (inputs.folder / "metrics/register.json").unlink()
    html = inputs.render()
    assert '<span class="absent">not registered</span>' in html
    assert "Not registered, so not promoted." in html
