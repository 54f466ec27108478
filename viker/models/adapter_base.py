"""Whether an adapter belongs to the model it is to be put on."""

from pathlib import Path

from peft import PeftConfig

from viker.core.errors import UserError
from viker.core.files import sha256_path
from viker.models.loading import resolve_model


def need_own_adapter(adapter: Path, vanilla: Path) -> None:
    """Check that the adapter was trained on the model in ``vanilla``.

    An adapter's configuration names its model by folder or hub name. A folder that is there must hold the same files;
    where it is gone (the adapter came from another machine), or the name is the same, nothing speaks against it.

    Raises:
        UserError: there is no adapter, or it belongs to another model.
    """
    if not (adapter / "adapter_model.safetensors").is_file():
        raise UserError(f"{adapter}: no adapter there. The stage 'unlearn' makes it: run 'viker unlearn' first.")
    named, asked = PeftConfig.from_pretrained(str(adapter)).base_model_name_or_path, resolve_model(vanilla)
    if not named or named == asked:
        return
    base = Path(named)
    on_hub, here = not base.exists() and named.count("/") == 1, Path(asked).is_dir()
    other = sha256_path(base) != sha256_path(Path(asked)) if base.is_dir() and here else on_hub and not here
    if other:
        raise UserError(
            f"{adapter}: this adapter was trained on '{named}', not on the vanilla model '{asked}'; the method "
            "retrain, for one, starts from unlearn.method.base_model. Evaluate it beside its own model: "
            "viker evaluate --vanilla BASE --adapter ADAPTER --metrics FILE. As the model to compare with, name it in "
            "evaluate.retrained."
        )
