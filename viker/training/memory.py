"""The memory that a run needs, from a model's sizes alone: each formula counts what torch allocates in one place.

Letters: B samples per batch, S tokens per sample, N answer tokens, V tokens of vocabulary, L layers, d width, q and g
widths of all query and of all key heads, m width of the gated MLP, h heads, r rank of the adapter, e bytes per number
(4, or 2 in bfloat16). Counted for a language model with Llama's layers: two norms, attention, a gated MLP.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from viker.methods.base.method import method_of
from viker.models.entropy import CHUNK
from viker.models.loading import language_layers
from viker.models.sizes import LanguageSizes, Lengths, language_sizes
from viker.models.vision_features import MOST_BYTES
from viker.teacher.distributions import bytes_per_token
from viker.training.settings import UnlearnParams


@dataclass(frozen=True)
class Sizes(LanguageSizes):
    """A whole model's sizes; ``adapted`` holds the sum of inputs and outputs of the layers that get LoRA matrices.

    ``matrices``: the weights of those layers, the part of ``parameters`` that ``unlearn.load_in_4bit`` quantises.
    ``shared``: the part that ``unlearn.shard`` shards, the language model without its head; ``embedding``: the part of
    that in no layer.
    """

    parameters: int
    matrices: int
    shared: int
    embedding: int
    adapted: int
    image_side: int


@dataclass(frozen=True)
class Load:
    """The data: the number of samples to forget, and the tokens of each; ``answer`` is that of the longest."""

    samples: int
    image: int
    prompt: int
    answer: int

    @property
    def sequence(self) -> int:
        """Return S, all tokens of a sample."""
        return self.image + self.prompt + self.answer

    @property
    def lengths(self) -> Lengths:
        """Return the lengths of the longest sample."""
        return Lengths(self.image, self.prompt, self.answer)


def sizes_of(model: Any) -> Sizes:
    """Return the sizes of an image-text-to-text model, which may be without weights (on the meta device).

    Raises UserError: its language model has no linear layers.
    """
    pattern = re.compile(language_layers(model))
    linear = [part for name, part in model.named_modules() if isinstance(part, nn.Linear) and pattern.fullmatch(name)]
    side = getattr(getattr(model.config, "vision_config", None), "image_size", 0)
    head = set(model.get_output_embeddings().parameters())
    language = model.get_decoder()
    return Sizes(
        **asdict(language_sizes(model.config)),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        matrices=sum(layer.weight.numel() for layer in linear),
        shared=sum(parameter.numel() for parameter in set(language.parameters()) - head),
        embedding=sum(parameter.numel() for parameter in set(language.get_input_embeddings().parameters()) - head),
        adapted=sum(layer.in_features + layer.out_features for layer in linear),
        image_side=side if isinstance(side, int) else 0,
    )


def number_bytes(params: UnlearnParams) -> int:
    """Return e, the bytes of a number of the frozen model and its activations."""
    return 4 if params.precision == "float32" else 2


def weight_bytes(sizes: Sizes, params: UnlearnParams) -> int:
    """Return e per parameter; in 4 bits 1/2 + 4/64 for those of ``matrices``, with a scale for each 64 of them."""
    e = number_bytes(params)
    if not params.load_in_4bit:
        return e * sizes.parameters
    return e * (sizes.parameters - sizes.matrices) + sizes.matrices // 2 + sizes.matrices // 16


def held_bytes(sizes: Sizes, params: UnlearnParams, processes: int) -> int:
    """Return the weights that each process holds: all of them, or with ``unlearn.shard`` its part of the sharded."""
    elsewhere = sizes.shared - -(-sizes.shared // processes) if params.shard else 0
    return weight_bytes(sizes, params) - number_bytes(params) * elsewhere


def gathered_bytes(sizes: Sizes, params: UnlearnParams, processes: int) -> int:
    """Return the shards of others that a process gathers at a time: the embedding, a layer in use and the next one."""
    if not params.shard or processes == 1:
        return 0
    layers = 2 * (sizes.shared - sizes.embedding) // sizes.layers
    return number_bytes(params) * (sizes.embedding + layers)


def adapter_bytes(sizes: Sizes, params: UnlearnParams) -> int:
    """Return 4 r sum(in + out): the matrices A [r, in] and B [out, r] of each adapted layer, in float32."""
    return 4 * params.lora_r * sizes.adapted


def cast_bytes(sizes: Sizes, params: UnlearnParams) -> int:
    """Return 2 r sum(in + out), in half precision: A and B as a pass casts them, kept for its backward pass.

    In float32, 4 r (5d) for each fused layer: A of query, key and value, and of gate and up, are put together.
    """
    if number_bytes(params) < 4:
        return 2 * params.lora_r * sizes.adapted
    return 20 * params.lora_r * sizes.width * sizes.layers if params.kernels == "auto" else 0


def kept_per_token(sizes: Sizes, params: UnlearnParams, sequence: int) -> int:
    """Return the bytes that one layer keeps of one token for the backward pass.

    The frozen weights need no gradient, so a layer keeps the input of LoRA's A and no other input of a matrix:

    - 2 * 4d: the inputs of the two norms, which compute in float32;
    - e (2d): the inputs of A, one for query, key and value, one for gate and up;
    - e (4q): query, key and value (those of fewer heads repeated for all, as torch needs them with a mask), and the
      attention's result, which is also the input of o's A;
    - e (4m): gate, its activation and up, and their product, the input of down's A;
    - e (7r): A's results;
    - fused attention: 4h, to find its probabilities again; 'eager' keeps them, 4hS, in bfloat16 also cast, 2hS.

    The first layer's norm keeps nothing, for its input has no gradient; the norm after the last layer makes up for it.
    Fused, as a GPU computes by ``unlearn.kernels``, norms keep their inputs in the model's precision, with a scale in
    float32, 2 (e d + 4); and the MLP its gate and up alone, e (2m), but 3m if 4 bits leave down plain.
    """
    e, d, q, m = number_bytes(params), sizes.width, sizes.queries, sizes.mlp
    probabilities = 4 if params.attention == "sdpa" else (4 if e == 4 else 6) * sequence
    norms, mlp = 8 * d, 4 * m
    if params.kernels == "auto":
        norms, mlp = 2 * (e * d + 4), (3 if params.load_in_4bit else 2) * m
    return norms + e * (2 * d + 4 * q + mlp + 7 * params.lora_r) + probabilities * sizes.heads


def batches(params: UnlearnParams) -> list[int]:
    """Return the samples of each pass that a step keeps activations of: forget, retain, refusals, what is held."""
    refused = "refusal_logits" in method_of(params.method).needs
    held = params.retain_batch_size * params.holds
    asked = [params.batch_size, retained(params)]
    asked = [sum(asked)] if params.in_one_pass else asked
    return [size for size in (*asked, params.batch_size * refused, held) if size]


def retained(params: UnlearnParams) -> int:
    """Return the retain samples of a step."""
    drawn = "retain_answers" in method_of(params.method).inputs_of(params.method)
    return params.retain_batch_size * drawn


def activation_bytes(sizes: Sizes, params: UnlearnParams, load: Load) -> int:
    """Return the activations kept for the backward pass: L B S ``kept_per_token``, B over all of the step's passes.

    And ``cast_bytes`` for each pass. With gradient checkpointing it is the inputs of the layers, L B S e d, and one
    layer of the largest pass.
    """
    casts = cast_bytes(sizes, params)
    layer = kept_per_token(sizes, params, load.sequence) * load.sequence
    if not params.gradient_checkpointing:
        return sizes.layers * sum(batches(params)) * layer + len(batches(params)) * casts
    inputs = sizes.layers * sum(batches(params)) * load.sequence * number_bytes(params) * sizes.width
    return inputs + max(batches(params)) * layer + casts // sizes.layers


def backward_bytes(sizes: Sizes, params: UnlearnParams, load: Load) -> int:
    """Return the temporaries in the backward pass of a layer: B S e (3m + 2d) of the largest pass.

    These are the gradients of the MLP's product, of its two factors, and of the residual stream.
    """
    tokens = max(batches(params)) * load.sequence
    return tokens * number_bytes(params) * (3 * sizes.mlp + 2 * sizes.width)


def loss_bytes(sizes: Sizes, params: UnlearnParams, load: Load) -> int:
    """Return the peak of the loss: tensors [B, N, V], before the first layer's backward pass.

    Kept for the backward pass: log p of each batch, 4; the teacher's batch and its rows, 4 + 4; the vanilla model's
    rows on retain, 4; the starting model's on what is held, 4 + 4. Added to that is the larger of what is there while
    the loss is computed (logits, e each; the vanilla model's probabilities, 4; the rows that go into log p, e) and of
    two gradients, 4 + 4. An entropy takes 3 * 4 for ``CHUNK`` rows.
    """
    method, e, rows = method_of(params.method), number_bytes(params), load.answer * sizes.vocabulary
    forget, retain, taught = params.batch_size, retained(params), method.takes_teacher(params.method)
    refused, compared = "refusal_logits" in params.inputs, "vanilla_logits" in method.needs
    to_vanilla = not params.inputs.isdisjoint({"retain_vanilla", "retain_vanilla_hidden"})
    saved = forget * 4 * (1 + 2 * taught + refused) + retain * 4 * (1 + to_vanilla)
    saved += params.retain_batch_size * params.holds * 4 * 3
    held = forget * e * (1 + compared + 2 * refused) + retain * (e + 4 * to_vanilla)
    last = retain or forget
    entropies = 12 * min(CHUNK, last * load.answer) * sizes.vocabulary if taught or to_vanilla else 0
    return rows * (saved + max(held + last * e, 8 * max(batches(params)))) + entropies


def working_bytes(sizes: Sizes, params: UnlearnParams, load: Load) -> int:
    """Return the temporary peak of a step: the larger of ``backward_bytes`` and ``loss_bytes``.

    With gradient checkpointing the layer that ``activation_bytes`` counts whole isn't there yet while the loss is.
    """
    layer = kept_per_token(sizes, params, load.sequence) * load.sequence * max(batches(params))
    later = layer if params.gradient_checkpointing else 0
    return max(backward_bytes(sizes, params, load), loss_bytes(sizes, params, load) - later)


def pixel_bytes(sizes: Sizes, load: Load) -> int:
    """Return 4 * 3 side ** 2 per sample: its picture as the processor made it, float32 on the CPU."""
    return 12 * load.samples * sizes.image_side**2


def teacher_bytes(sizes: Sizes, load: Load) -> int:
    """Return the teacher's N distributions per sample on the CPU, see ``compact``; the run's store is as large."""
    return load.samples * load.answer * bytes_per_token(sizes.vocabulary)


def feature_bytes(sizes: Sizes, params: UnlearnParams, load: Load) -> int:
    """Return e d for each image token of the pictures seen, one per sample, and at most ``MOST_BYTES``.

    A retain batch brings new pictures in every step.
    """
    steps = params.epochs * -(-load.samples // params.batch_size)
    pictures = load.samples + steps * retained(params)
    return min(MOST_BYTES, number_bytes(params) * pictures * load.image * sizes.width)
