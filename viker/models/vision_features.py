"""Vision features, computed once per picture: vision tower and projector are frozen while the adapter is trained.

They are kept in the CPU's memory, so that a GPU has the room for the training.
"""

import inspect
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from viker.data.samples import Sample
from viker.models.encoder import Batch, Encoder
from viker.models.fast_path import FastPath, NoFastPath
from viker.models.logits import answer_logits

MOST_BYTES = 2**31
"""The most that kept features take; the least recently used make room. LLaVA-1.5: 4.5 MiB per picture in bfloat16."""

FEATURES = FastPath("kept vision features", "the vision tower runs again at each step", "training", 1e-5, 1e-2)


class FeatureEncoder(Encoder):
    """An encoder whose batches hold the pictures' features instead of their pixels."""

    def __init__(self, model: Any, encoder: Encoder) -> None:
        """Encode as ``encoder`` does, for a ``model`` whose vision tower and projector are frozen."""
        super().__init__(encoder.processor, encoder.pictures, encoder.device)
        self.model = model
        self._features: OrderedDict[str, Tensor | tuple[Tensor, ...]] = OrderedDict()
        self._bytes = 0

    def batch(self, samples: Sequence[Sample]) -> Batch:
        """Encode samples with their answers."""
        batch = super().batch(samples)
        inputs: dict[str, Any] = dict(batch.inputs)
        if inputs.pop("pixel_values", None) is not None:
            pictures = [_moved(self.features(sample), self.device) for sample in samples if sample.picture]
            one_tensor = torch.is_tensor(pictures[0])
            joined = torch.cat(pictures) if one_tensor else [f for features in pictures for f in features]
            inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=joined)}
        return replace(batch, inputs=inputs)

    @torch.no_grad()
    def features(self, sample: Sample) -> Any:
        """Return what the language model gets for the picture of ``sample``: a tensor, or a tuple in some families.

        They are on the CPU, in page-locked memory where the model is on a GPU.
        """
        picture = sample.picture
        if picture not in self._features:
            inputs = super().batch([sample]).inputs
            takes = inspect.signature(self.model.get_image_features).parameters
            arguments = {name: value for name, value in inputs.items() if name in takes}
            features = self.model.get_image_features(**arguments, return_dict=True).pooler_output
            self._features[picture] = _moved(features, torch.device("cpu"))
            self._bytes += _size(self._features[picture])
            while self._bytes > MOST_BYTES and len(self._features) > 1:
                self._bytes -= _size(self._features.popitem(last=False)[1])
        self._features.move_to_end(picture)
        return self._features[picture]


@torch.no_grad()
def reuse_features(model: Any, encoder: Encoder, samples: Sequence[Sample]) -> Encoder:
    """Return an encoder that keeps the features of pictures, or ``encoder`` where ``model`` takes no features.

    The first of ``samples`` with a picture is computed both ways to verify that they agree.
    """
    sample = next((sample for sample in samples if sample.picture), None)
    if sample is None:
        return encoder

    def keep() -> Encoder:
        takes = "mm_encoder_outputs" in inspect.signature(model.forward).parameters
        if not takes or not hasattr(model, "get_image_features"):
            raise NoFastPath(f"{type(model).__name__} takes no features")
        keeping = FeatureEncoder(model, encoder)
        kept = answer_logits(model, keeping.batch([sample]))

        def plain() -> Tensor:
            return answer_logits(model, encoder.batch([sample]))

        def repeat() -> Tensor:
            return answer_logits(model, FeatureEncoder(model, encoder).batch([sample]))

        FEATURES.verify(model, kept, plain, repeat)
        return keeping

    return FEATURES.take(model, keep, lambda: encoder)


def _moved(features: Any, device: torch.device) -> Any:
    """Return a tensor, or each of several in a tuple, on ``device``; from a GPU to page-locked memory of the CPU."""
    if not torch.is_tensor(features):
        return tuple(_moved(each, device) for each in features)
    moved = features.to(device, non_blocking=device.type == "cuda")
    return moved.pin_memory() if features.is_cuda and device.type == "cpu" else moved


def _size(features: Any) -> int:
    return sum(f.nbytes for f in ((features,) if torch.is_tensor(features) else features))
