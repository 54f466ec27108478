"""The bill of materials of an image has every package with its version."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "docker"))
from sbom import cyclonedx


def test_every_package_is_named_with_version_and_purl() -> None:
    found = cyclonedx(
        "ghcr.io/o/viker-gate:0.1.0", "0.1.0", "abc", [["ruamel.yaml", "0.18"], ["typing_extensions", "4"]]
    )
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.5")
    assert [one["purl"] for one in found["components"]] == ["pkg:pypi/ruamel.yaml@0.18", "pkg:pypi/typing-extensions@4"]
    assert found["metadata"]["component"]["properties"] == [{"name": "commit", "value": "abc"}]
