"""The memory of attacks that optimise an input, besides the weights; letters as in ``viker.models.sizes``.

Nothing is trained, so a layer keeps no input of a matrix: only what the gradient of its own input needs.
"""

from viker.models.sizes import LanguageSizes, Lengths, VisionSizes


def kept_per_token(sizes: LanguageSizes, e: int) -> int:
    """Return the bytes that one layer keeps of one token for the gradient of its input.

    - 2 * 4d: the inputs of the two norms, which compute in float32;
    - e 4q + 4h: query, key, value and result of the fused attention, and what finds its probabilities again;
    - e 3m: gate, its activation, and up.
    """
    return 8 * sizes.width + 4 * e * sizes.queries + 4 * sizes.heads + 3 * e * sizes.mlp


def seen_per_token(vision: VisionSizes, e: int) -> int:
    """Return the same for a layer of a vision tower like CLIP's: inputs of norms and attention, e 6d; MLP, e 2m."""
    return e * (6 * vision.width + 2 * vision.mlp)


def soft_prompt_bytes(sizes: LanguageSizes, e: int, lengths: Lengths, samples: int, signs: int) -> int:
    """Return the peak of a step of soft_prompt on so many samples.

    L S ``kept_per_token`` for each, S with ``signs`` tokens more, and the larger of two temporaries: in a layer's
    backward pass e (3m + 2d) per token; in the loss e V four times per answer token, for logits, log p and two
    gradients.
    """
    tokens = samples * (lengths.picture + lengths.prompt + signs + lengths.answer)
    layer = e * (3 * sizes.mlp + 2 * sizes.width) * tokens
    loss = 4 * e * samples * (lengths.answer + 1) * sizes.vocabulary
    return sizes.layers * tokens * kept_per_token(sizes, e) + max(layer, loss)


def universal_perturbation_bytes(
    sizes: LanguageSizes, vision: VisionSizes, e: int, lengths: Lengths, samples: int
) -> int:
    """Return the peak of a step of universal_perturbation: as soft_prompt, and L S ``seen_per_token`` of the tower."""
    seen = samples * vision.layers * vision.tokens * seen_per_token(vision, e)
    return seen + soft_prompt_bytes(sizes, e, lengths, samples, 0)
