"""The registered model as code: MLflow runs this file when it saves and when it loads a version; nothing is pickled.

Not a module to import: what it imports from this library is packed with the model, see ``model_package``.
"""

import os
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from viker.core.mlflow_store import beside_store

HINT = (
    "Name it with mlflow.pyfunc.load_model(URI, model_config={'base_model': FOLDER OR HUB NAME}), or in "
    "VIKER_BASE_MODEL."
)


class UnlearnedModel(PythonModel):
    """A base model with the adapter of this version: image and question in, answer out."""

    def load_context(self, context: Any) -> None:
        """Load the base model that the version, or the user, names, and check that it is the right one."""
        from viker.models.answering import Answerer  # here: saving needs neither torch nor a model

        config = context.model_config
        self.answerer = Answerer(
            os.environ.get("VIKER_BASE_MODEL") or beside_store(str(config["base_model"]), mlflow.get_tracking_uri()),
            str(config["base_model_digest"]),
            Path(context.artifacts["adapter"]),
            int(config["max_new_tokens"]),
            HINT,
        )

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answer each row: ``question``, and ``image``, an encoded picture or none. Returns the column ``answer``."""
        rows = model_input.to_dict("records")
        answers = [self.answerer.answer(str(row["question"]), _bytes(row.get("image"))) for row in rows]
        return pd.DataFrame({"answer": answers}, index=model_input.index)


def _bytes(image: Any) -> bytes | None:
    """Return an encoded picture as bytes; a missing one is None or, from pandas, NaN."""
    return bytes(image) if isinstance(image, bytes | bytearray | memoryview) and image else None


set_model(UnlearnedModel())
