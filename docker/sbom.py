"""The bill of materials of an image: CycloneDX 1.5, of the Python packages that are installed in it."""

import json
import subprocess
from pathlib import Path

LIST = """
import json
from importlib.metadata import distributions
print(json.dumps(sorted({(d.metadata["Name"], d.version) for d in distributions()})))
"""


def write_sbom(docker: str, image: str, version: str, commit: str, folder: Path) -> Path:
    """Write what is installed in ``image`` below ``folder``, the same bytes for the same image; return the file."""
    command = [docker, "run", "--rm", "--network=none", image, "python", "-c", LIST]
    packages = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    file = folder / f"{image.rpartition('/')[2].partition(':')[0]}.cdx.json"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(cyclonedx(image, version, commit, packages), indent=2) + "\n", encoding="utf-8")
    return file


def cyclonedx(image: str, version: str, commit: str, packages: list[list[str]]) -> dict[str, object]:
    """Return the document; ``packages`` are names and versions. Source: CycloneDX 1.5, ECMA-424."""
    made_from = [{"name": "commit", "value": commit}]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": image, "version": version, "properties": made_from}},
        "components": [
            {
                "type": "library",
                "name": name,
                "version": release,
                "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{release}",
                "bom-ref": f"{name}=={release}",
            }
            for name, release in packages
        ],
    }
