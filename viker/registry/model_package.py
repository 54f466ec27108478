"""The adapter as an MLflow model: a folder with the adapter, the code that answers, signature, example and versions."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIBRARY = HERE.parent
CODE = (
    "__init__",
    *("core/__init__", "core/errors", "core/files"),
    *("data/__init__", "data/picture_checks", "data/prompts", "data/records", "data/samples"),
    *("models/__init__", "models/answering", "models/base_model", "models/chat_template", "models/encoder"),
    "models/loading",
)
"""The modules of this library that answering needs; they travel with the model."""
ADAPTER = "artifacts/adapter"
"""Where the adapter lies in a packed model: PEFT's own ``from_pretrained`` takes that folder."""
EVIDENCE = "evidence"
"""Where verdict, metrics, parameters, data's manifest and coverage lie beside it."""
QUESTION = "What is this picture of?"


def pack(folder: Path, adapter: Path, base_model: str, digest: str, most: int) -> None:
    """Write the MLflow model of an adapter to ``folder``, which must not exist.

    Args:
        folder: where it goes; ``mlflow.pyfunc.load_model`` takes it, and ``ADAPTER`` in it is in PEFT's format.
        adapter: the adapter's folder.
        base_model: folder or hub name of the model that it belongs to, which is not copied.
        digest: what tells that model from others, see ``viker.models.base_model``; it is checked when it is loaded.
        most: the most tokens of an answer.
    """
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types.schema import ColSpec, Schema

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    example = pd.DataFrame({"image": [(HERE / "example.png").read_bytes()], "question": [QUESTION]})
    image, question = ColSpec("binary", "image", required=False), ColSpec("string", "question")
    config: dict[str, Any] = {"base_model": base_model, "base_model_digest": digest, "max_new_tokens": most}
    with tempfile.TemporaryDirectory() as scratch:
        code = Path(scratch) / "viker"
        for name in CODE:
            copied = code / f"{name}.py"
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(LIBRARY / f"{name}.py", copied)
        save_model(
            folder,
            python_model=HERE / "pyfunc_model.py",
            artifacts={"adapter": str(adapter)},
            code_paths=[str(code)],
            signature=ModelSignature(Schema([image, question]), Schema([ColSpec("string", "answer")])),
            input_example=example,
            pip_requirements=(HERE / "serving.txt").read_text(encoding="utf-8").split(),
            model_config=config,
        )
