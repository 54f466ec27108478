"""A loaded model as lm-evaluation-harness takes it; needs the extra ``harness``."""

from typing import Any

from lm_eval.models.hf_vlms import HFMultimodalLM


class SharedModel(HFMultimodalLM):
    """The harness's model for text and pictures, on a model and processor that are loaded already."""

    def __init__(self, model: Any, processor: Any, batch_size: int) -> None:
        """``model``: an image-text-to-text model, with or without adapters; whichever is on is asked."""
        self._loaded = processor
        context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        super().__init__(pretrained=model, batch_size=batch_size, max_length=context, backend="causal")

    def _create_tokenizer(self, *_: Any, **__: Any) -> None:
        self.processor = self._loaded
        self.tokenizer = self._loaded.tokenizer
