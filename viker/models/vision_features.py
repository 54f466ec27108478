"""A picture's features, computed once: vision tower and projector stay as they are while the adapter is trained."""

import inspect
import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from viker.models.chat import Batch, Encoder, Sample, answer_logits

MOST_BYTES = 2**31
"""How much the kept features may take; those longest unused make room. LLaVA-1.5: 4.5 MiB a picture in bfloat16."""

log = logging.getLogger(__name__)


class FeatureEncoder(Encoder):
    """An encoder whose batches carry the pictures' features in place of their pixels."""

    def __init__(self, model: Any, encoder: Encoder) -> None:
        """Encode as ``encoder`` does, for a ``model`` whose vision tower and projector no longer change."""
        super().__init__(encoder.processor, encoder.pictures, encoder.device)
        self.model = model
        self._features: OrderedDict[str, Tensor | tuple[Tensor, ...]] = OrderedDict()
        self._bytes = 0

    def batch(self, samples: Sequence[Sample]) -> Batch:
        """Encode samples with their answers."""
        batch = super().batch(samples)
        inputs: dict[str, Any] = dict(batch.inputs)
        if inputs.pop("pixel_values", None) is not None:
            shown = [self.features(sample) for sample in samples if sample.picture]
            joined = torch.cat(shown) if torch.is_tensor(shown[0]) else [f for features in shown for f in features]
            inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=joined)}
        return Batch(inputs, batch.answers, batch.samples)

    @torch.no_grad()
    def features(self, sample: Sample) -> Any:
        """Return what the language model gets for the picture of ``sample``, in the form that the family has."""
        picture = sample.picture
        if picture not in self._features:
            inputs = super().batch([sample]).inputs
            takes = inspect.signature(self.model.get_image_features).parameters
            given = {name: value for name, value in inputs.items() if name in takes}
            found = self.model.get_image_features(**given, return_dict=True).pooler_output
            self._features[picture] = found if torch.is_tensor(found) else tuple(found)
            self._bytes += _size(self._features[picture])
            while self._bytes > MOST_BYTES and len(self._features) > 1:
                self._bytes -= _size(self._features.popitem(last=False)[1])
        self._features.move_to_end(picture)
        return self._features[picture]


@torch.no_grad()
def reuse_features(model: Any, encoder: Encoder, samples: Sequence[Sample]) -> Encoder:
    """Return an encoder that keeps the features of pictures, or ``encoder`` where ``model`` takes no features.

    One of ``samples`` is computed both ways to know that they agree.
    """
    sample = next((sample for sample in samples if sample.picture), None)
    if sample is None:
        return encoder
    forward = inspect.signature(model.forward).parameters
    if not hasattr(model, "get_image_features") or "mm_encoder_outputs" not in forward:
        log.warning("the vision tower runs anew at each step: %s takes no features", type(model).__name__)
        return encoder
    keeping = FeatureEncoder(model, encoder)
    plain = answer_logits(model, encoder.batch([sample]))
    error = ((answer_logits(model, keeping.batch([sample])) - plain).norm() / plain.norm()).item()
    if not error < (1e-5 if plain.dtype == torch.float32 else 1e-2):
        log.warning("the vision tower runs anew at each step: with kept features logits differ by %.1e", error)
        return encoder
    return keeping


def _size(features: Any) -> int:
    return sum(f.nbytes for f in ((features,) if torch.is_tensor(features) else features))
