"""One question, one answer: a base model with an adapter, or without it."""

from pathlib import Path

import torch
from peft import PeftModel

from viker.core.errors import UserError
from viker.data.pictures.checks import BadPicture, check
from viker.models.base_model import base_digest
from viker.models.chat import Encoder, Sample
from viker.models.loading import device, load_model

PICTURE = "picture"
"""The key of the one picture that is shown."""


class Answerer:
    """Asks a model as the evaluation does: its own template around the question, the likeliest tokens as the reply."""

    def __init__(self, base: str, digest: str | None, adapter: Path, most: int, hint: str) -> None:
        """Load base model and adapter.

        Args:
            base: folder or hub name of the base model.
            digest: what ``base_digest`` must return for it: of a model on a hub, the commit that is loaded; None: not
                checked.
            adapter: the folder of the adapter, in PEFT's format.
            most: the most tokens of a reply.
            hint: how to name another base model, the end of an error.

        Raises:
            UserError: base or adapter is not there, or the base is another than the adapter was trained on.
        """
        in_folder = Path(base).expanduser().is_dir()
        if digest and in_folder and (found := base_digest(base, "base model")) != digest:
            raise UserError(
                f"the base model '{base}' is another than the adapter was trained on: found {found[:12]}…, "
                f"expected {digest[:12]}…. {hint}"
            )
        if not (adapter / "adapter_model.safetensors").is_file():
            raise UserError(f"{adapter}: no adapter here; expected adapter_model.safetensors, as PEFT writes it.")
        try:
            model, self.processor = load_model(base, "base model", revision=None if in_folder else digest)
        except UserError as error:
            raise UserError(f"{error} {hint}") from None
        self.model = PeftModel.from_pretrained(model, str(adapter)).eval()
        self.most = most

    @torch.no_grad()
    def answer(self, question: str, image: bytes | None, vanilla: bool = False) -> str:
        """Return the reply to ``question`` about an encoded picture, or about none; ``vanilla``: without the adapter.

        Raises:
            UserError: the picture is none, or unusable; the question is empty.
        """
        if not question.strip():
            raise UserError("the question is empty; expected text.")
        pictures = {}
        if image is not None:
            try:
                check(image)
            except BadPicture as problem:
                raise UserError(f"the image is {problem}.") from None
            pictures = {PICTURE: image}
        encoder = Encoder(self.processor, pictures, device())
        inputs = encoder.prompts([Sample("asked", question, "", PICTURE if image is not None else "")])
        if vanilla:
            with self.model.disable_adapter():
                ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=self.most)
        else:
            ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=self.most)
        return str(encoder.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)).strip()
