"""What the tokens of an answer add to its text, one by one."""

from collections.abc import Sequence

from tokenizers import decoders


def byte_level(tokens: Sequence[str]) -> bool:
    """Return whether tokens stand for bytes, as those of byte-level BPE do: Ġ is its space."""
    return any("Ġ" in token for token in tokens)


def texts(tokens: Sequence[str], of_bytes: bool) -> list[str]:
    """Return what each token of an answer adds to its text.

    Byte-level tokens stand for bytes (Ġ is a space): a character whose bytes lie in several of them is shown at the
    last one. SentencePiece's ▁ becomes a space; tokens that are already text are unchanged.
    """
    if not of_bytes:
        return [token.replace("▁", " ") for token in tokens]
    decoder = decoders.ByteLevel()
    added, before = [], ""
    for i in range(1, len(tokens) + 1):
        text = decoder.decode(list(tokens[:i])).rstrip("\ufffd")
        added.append(text[len(before) :])
        before = text
    return added
