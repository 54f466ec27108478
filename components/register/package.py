"""The adapter as an MLflow model: a folder with the adapter, the code that answers, signature, example and versions."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
CODE = (
    *("__init__", "answering", "base", "chat", "dialogue", "errors", "files", "models", "pictures", "prompts"),
    "records",
)
"""The modules of components.common that answering takes; they travel with the model."""
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
        digest: what tells that model from others, see ``components.common.base``; it is checked when it is loaded.
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
        code = Path(scratch) / "components"
        (code / "common").mkdir(parents=True)
        shutil.copy(COMMON.parent / "__init__.py", code)
        for name in CODE:
            shutil.copy(COMMON / f"{name}.py", code / "common")
        save_model(
            folder,
            python_model=COMMON / "served.py",
            artifacts={"adapter": str(adapter)},
            code_paths=[str(code)],
            signature=ModelSignature(Schema([image, question]), Schema([ColSpec("string", "answer")])),
            input_example=example,
            pip_requirements=(HERE / "serving.txt").read_text(encoding="utf-8").split(),
            model_config=config,
        )
