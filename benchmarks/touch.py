"""What a change touches: ``python -m benchmarks.touch`` adds one of each kind to a copy of the tree, as
docs/extending.md has it, runs its tests, and lists the files that changed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.examples import examples

ROOT = Path(__file__).parents[1]
KINDS = {
    "method": ("viker/methods/", "tests/viker/methods/"),
    "metric": ("viker/metrics/", "tests/viker/metrics/"),
    "attack": ("viker/attacks/", "tests/viker/attacks/", "params.yaml"),
    "format": ("viker/data/", "tests/viker/data/"),
    "stage": ("components/", "tests/components/", "dvc.yaml"),
}
"""Where the files of each kind's example lie, and so which examples belong to it."""
HELD = {
    "method": ("tests/viker/methods", "tests/components/test_params.py"),
    "metric": ("tests/viker/metrics",),
    "attack": ("tests/viker/attacks/test_every_attack.py", "tests/viker/attacks/test_role_play.py"),
    "format": ("tests/viker/data/test_formats.py", "tests/viker/data/test_interviews.py"),
    "stage": (
        *("tests/components/test_notice.py", "tests/test_dvc.py", "tests/test_image_requirements.py"),
        *("tests/pipelines/test_pipeline_yaml.py", "tests/deploy/test_airflow.py", "tests/pipelines/test_cli.py"),
    ),
}
"""The tests that hold for every one of a kind: they must pass with one more."""
BEFORE = {"method": "8", "metric": "6 to 8", "attack": "10", "format": "12", "stage": "about 27"}
GENERATED = re.compile(r"^deploy/")


def main() -> None:
    """Add one of each and print the counts; exit with 1 where its tests fail."""
    failed = []
    print(f"{'to add':8} {'before':>9} {'now':>4}  files (generated ones in brackets)")
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            tree = copy_tree(Path(folder) / "tree")
            add(kind, tree)
            tests = run(tree, sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *HELD[kind])
            files = changed(tree)
            written = [file for file in files if not GENERATED.match(file)]
            names = [file if file in written else f"[{file}]" for file in files]
            print(f"{kind:8} {BEFORE[kind]:>9} {len(written):4}  {', '.join(names)}", flush=True)
            if tests.returncode:
                failed.append(f"{kind}: {tests.stdout[-3000:]}")
    if failed:
        sys.exit("\n".join(failed))


def copy_tree(tree: Path) -> Path:
    """Copy the files that git knows, as they are now, and commit them."""
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "before"]):
        run(tree, "git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", *command)
    return tree


def add(kind: str, tree: Path) -> None:
    """Write the files of a kind's example into the tree, or add its lines to a file that is there."""
    for title, code in examples().items():
        if not title.startswith(KINDS[kind]):
            continue
        file = tree / title
        if file.exists():
            anchor = {"params.yaml": "    probe:", "dvc.yaml": "\nplots:"}[title]
            file.write_text(file.read_text(encoding="utf-8").replace(anchor, f"{code.rstrip()}\n{anchor}", 1))
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code, encoding="utf-8")
    if kind == "stage":
        run(tree, sys.executable, "-m", "pipelines.cli.main", "pipeline", "compile")


def changed(tree: Path) -> list[str]:
    """Return the files that differ from what ``copy_tree`` committed, new ones included."""
    lines = run(tree, "git", "status", "--porcelain", "--untracked-files=all").stdout.splitlines()
    return sorted(line[3:] for line in lines)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder whose code comes first."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
