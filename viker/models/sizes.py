"""The sizes that decide how much memory a pass takes: those of a language model, and the lengths of its texts.

Letters: L layers, d width, q and g widths of all query and of all key heads, m width of the gated MLP, h heads, V
tokens of vocabulary, e bytes per number (4, or 2 in half precision). Counted for Llama's layers: attention, gated MLP.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from viker.data.samples import Sample
from viker.models.encoder import Encoder
from viker.models.shared_prefix import split_at_picture


@dataclass(frozen=True)
class LanguageSizes:
    """A language model's sizes: L, d, q, g, m, h and V."""

    layers: int
    width: int
    queries: int
    keys: int
    mlp: int
    heads: int
    vocabulary: int

    def cache_bytes(self, e: int) -> int:
        """Return the keys and values of one token: 2 e L g."""
        return 2 * e * self.layers * self.keys

    def layer_bytes(self, e: int) -> int:
        """Return what one layer has at once of one token, without a backward pass: MLP and stream, e (3m + 4d)."""
        return e * (3 * self.mlp + 4 * self.width)


@dataclass(frozen=True)
class VisionSizes:
    """A vision tower's sizes: layers, d, m, and the tokens of a picture in it; zeros where it has no fixed number."""

    layers: int
    width: int
    mlp: int
    tokens: int


@dataclass(frozen=True)
class Lengths:
    """Tokens of the longest sample: up to the end of its picture, of the prompt after that, and of the answer."""

    picture: int
    prompt: int
    answer: int


def language_sizes(config: Any) -> LanguageSizes:
    """Return the sizes of the language model of an image-text-to-text model's configuration."""
    text = config.get_text_config()
    head_width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return LanguageSizes(
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        queries=text.num_attention_heads * head_width,
        keys=(getattr(text, "num_key_value_heads", None) or text.num_attention_heads) * head_width,
        mlp=text.intermediate_size,
        heads=text.num_attention_heads,
        vocabulary=text.vocab_size,
    )


def vision_sizes(config: Any) -> VisionSizes:
    """Return the sizes of the vision tower of an image-text-to-text model's configuration."""
    vision = getattr(config, "vision_config", None)
    names = ("num_hidden_layers", "hidden_size", "intermediate_size", "image_size", "patch_size")
    sizes = [size for size in (getattr(vision, name, None) for name in names) if isinstance(size, int)]
    if len(sizes) < len(names):
        return VisionSizes(0, 0, 0, 0)
    layers, width, mlp, side, patch = sizes
    return VisionSizes(layers, width, mlp, (side // patch) ** 2 + 1)


def lengths_of(encoder: Encoder, model: Any, samples: Iterable[Sample]) -> Lengths:
    """Return the lengths of ``samples``, each of the three of the sample where it is longest."""
    lengths = []
    for sample in samples:
        ids, count = split_at_picture(encoder, model, sample)[1]
        lengths.append((len(encoder.encode(sample)[0]) - len(ids), len(ids) - count, count))
    return Lengths(*map(max, zip(*lengths, strict=True)))
