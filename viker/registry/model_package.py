"""The adapter as an MLflow model: a folder with adapter, code, signature, example, requirements and evidence."""

import ast
import logging
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.core.files import write_json

HERE = Path(__file__).parent
LIBRARY = HERE.parent
MODEL = HERE / "pyfunc_model.py"
ADAPTER = "artifacts/adapter"
"""Where the adapter lies in a packed model: PEFT's own ``from_pretrained`` takes that folder."""
EVIDENCE = "evidence"
"""Where verdict, metrics, parameters, data's manifest and coverage lie in it."""
QUESTION = "What is this picture of?"


def pack(folder: Path, adapter: Path, base_model: str, digest: str, max_new_tokens: int) -> None:
    """Write the MLflow model of an adapter to ``folder``, which must not exist.

    Args:
        folder: where it goes; ``mlflow.pyfunc.load_model`` takes it, and ``ADAPTER`` in it is in PEFT's format.
        adapter: the adapter's folder.
        base_model: folder or hub name of the model that it belongs to, which is not copied.
        digest: identifies that model, see ``viker.models.base_model``; it is checked when the version is loaded.
        max_new_tokens: the most tokens of an answer.
    """
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types.schema import ColSpec, Schema

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    example = pd.DataFrame({"image": [(HERE / "example.png").read_bytes()], "question": [QUESTION]})
    image, question = ColSpec("binary", "image", required=False), ColSpec("string", "question")
    config = {"base_model": base_model, "base_model_digest": digest, "max_new_tokens": max_new_tokens}
    with tempfile.TemporaryDirectory() as scratch:
        code = Path(scratch) / LIBRARY.name
        for module in library_code(MODEL):
            copy = code / module.relative_to(LIBRARY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(module, copy)
        save_model(
            folder,
            python_model=MODEL,
            artifacts={"adapter": str(adapter)},
            code_paths=[str(code)],
            signature=ModelSignature(Schema([image, question]), Schema([ColSpec("string", "answer")])),
            input_example=example,
            pip_requirements=(HERE / "serving.txt").read_text(encoding="utf-8").split(),
            model_config=config,
        )
    written = folder / "MLmodel"
    text = written.read_text(encoding="utf-8").replace(str(MODEL), MODEL.name)  # a path of this machine
    written.write_text(text, encoding="utf-8")


def add_evidence(folder: Path, files: Mapping[str, Path], coverage: Mapping[str, Any]) -> None:
    """Put what proves the verdict into a packed model: a version is judged by what is stored with it.

    Args:
        folder: the packed model.
        files: by the names that they get there, whatever an engine calls them.
        coverage: the requests that the adapter carries out and the people they name.
    """
    (folder / EVIDENCE).mkdir()
    for name, file in files.items():
        shutil.copyfile(file, folder / EVIDENCE / name)
    write_json(folder / EVIDENCE / "coverage.json", coverage)


def library_code(program: Path) -> list[Path]:
    """Return the modules of this library that a program imports, directly or not, with their packages, sorted.

    They are read, not run; imports inside functions count too, those for type checkers alone don't.
    """
    modules: set[Path] = set()
    to_read = [program]
    while to_read:
        for name in _imported(ast.parse(to_read.pop().read_text(encoding="utf-8"))):
            for module in _files(name):
                if module not in modules:
                    modules.add(module)
                    to_read.append(module)
    return sorted(modules)


def _imported(tree: ast.AST) -> list[str]:
    """Return the dotted names that a module imports; of ``from a import b`` both ``a`` and ``a.b``."""
    names: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        names += _imported(node)
    return names


def _files(name: str) -> list[Path]:
    """Return the file of a module of this library and those of the packages around it; none for any other name."""
    package, *inner = name.split(".")
    if package != LIBRARY.name:
        return []
    folders = [LIBRARY.joinpath(*inner[:depth]) for depth in range(len(inner) + 1)]
    files = [folder / "__init__.py" for folder in folders] + [folders[-1].with_suffix(".py")]
    return [file for file in files if file.is_file()]
