"""One question, one answer: a base model with an adapter, or without it."""

from contextlib import nullcontext
from pathlib import Path

import torch

from viker.core.errors import UserError
from viker.data.pictures.checks import BadPicture, check, fingerprint
from viker.data.samples import Sample
from viker.models.adapter import load_adapter
from viker.models.base_model import base_digest, need_adapter
from viker.models.encoder import Encoder
from viker.models.loading import device, empty_model, load_model

PICTURE = "picture"
"""The key of the picture that the question is about."""


class Answerer:
    """Asks a model as the evaluation does: the question in its own chat template, greedy decoding."""

    def __init__(self, base: str, digest: str | None, adapter: Path, most: int, hint: str) -> None:
        """Load base model and adapter.

        Args:
            base: folder or hub name of the base model.
            digest: what ``base_digest`` must return for it; of a model on a hub, the commit to load. None: not checked.
            adapter: the folder of the adapter, in PEFT's format.
            most: the most tokens of a reply.
            hint: how to name another base model; ends the errors about it.

        Raises UserError: base or adapter is missing, or the adapter was trained on another base.
        """
        in_folder = Path(base).expanduser().is_dir()
        if digest and in_folder and (actual := base_digest(base, "base model")) != digest:
            raise UserError(
                f"the adapter was not trained on the base model '{base}': its SHA-256 is {actual[:12]}…, "
                f"expected {digest[:12]}…. {hint}"
            )
        need_adapter(adapter)
        try:
            model, self.processor = load_model(base, "base model", revision=None if in_folder else digest)
        except UserError as error:
            raise UserError(f"{error} {hint}") from None
        self.model = load_adapter(model, adapter)
        self.most = most

    def switch(self, adapter: Path) -> None:
        """Answer with another adapter of the same base model from now on; the base model stays loaded.

        Raises UserError: as ``load_adapter`` does; the adapter from before is still in place then.
        """
        load_adapter(empty_model(self.model.get_base_model().config, "base model"), adapter)
        self.model = load_adapter(self.model.unload(), adapter)

    @torch.no_grad()
    def answer(self, question: str, image: bytes | None, vanilla: bool = False) -> str:
        """Return the reply to a question, about a picture (the bytes of an image file) or without one.

        ``image``: PNG, JPEG or the like; None: no picture. ``vanilla``: whether the adapter is left out.

        Raises UserError: the picture can't be used, or the question is empty.
        """
        if not question.strip():
            raise UserError("the question is empty; expected text.")
        pictures = {}
        if image is not None:
            try:
                check(image)
                fingerprint(image)  # decodes it
            except BadPicture as problem:
                raise UserError(f"the image is {problem}.") from None
            pictures = {PICTURE: image}
        encoder = Encoder(self.processor, pictures, device())
        inputs = encoder.prompts([Sample("asked", question, "", PICTURE if image is not None else "")])
        with self.model.disable_adapter() if vanilla else nullcontext():
            ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=self.most)
        return str(encoder.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)).strip()
