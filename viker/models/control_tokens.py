"""Control tokens come from the chat template alone: what data spells is tokenised as text."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import Any

from tokenizers import Tokenizer

from viker.core.errors import UserError

Piece = tuple[str, bool]
"""A part of a prompt, and whether it is data (a question or an answer) rather than the template's."""


def control_tokens(processor: Any, template: str) -> list[str]:
    """Return the tokens that mean more than their text, longest first: the special ones and those of the template.

    A tokenizer's other added tokens, such as several line breaks or spaces in one, are text.
    """
    named = {getattr(processor, f"{kind}_token", None) for kind in ("image", "video", "audio")}
    added = processor.tokenizer.added_tokens_decoder.values()
    found = {
        token.content
        for token in added
        if token.special or token.content in named or (token.content in template and token.content.strip())
    }
    return sorted(found | set(processor.tokenizer.all_special_tokens), key=lambda token: (-len(token), token))


class PromptTokenizer:
    """Turns a prompt, made of the template's text and data, into token ids.

    Ordinary text gets the ids that the model's tokenizer gives. Where data spells a control token, it gets the ids of
    a copy of the tokenizer in which control tokens have names that the data doesn't have. Where data spells a role
    that the template announces in plain text ("ASSISTANT:"), its tokens there are single characters, which the
    template's are not.
    """

    def __init__(self, processor: Any, template: str, roles: Sequence[str]) -> None:
        """Take the processor, the chat template's text, and the roles that it announces in plain text."""
        self.tokenizer = processor.tokenizer
        self.names = control_tokens(processor, template)
        self.unknown = self.tokenizer.unk_token
        ids = self.tokenizer.convert_tokens_to_ids(self.names)
        self._ids = {name: number for name, number in zip(self.names, ids, strict=True) if name != self.unknown}
        self._control = frozenset(self._ids.values())
        self._name = re.compile("|".join(map(re.escape, self.names)) or "(?!)")
        self._role = re.compile("|".join(map(re.escape, roles)) or "(?!)")
        self._copies: dict[str, Tokenizer] = {}

    def encode(self, pieces: Sequence[Piece], prompt: int) -> tuple[list[int], int]:
        """Return the token ids of ``pieces`` joined, and how many come after the first ``prompt`` pieces.

        A token that reaches from one of these pieces into the next counts to the latter.

        Raises UserError: text and control tokens can't be told apart with this tokenizer.
        """
        ids, offsets, starts = self._encode(pieces)
        return ids, len(ids) - sum(stop <= starts[prompt] for _, stop in offsets)

    def places(self, pieces: Sequence[Piece], prompt: int, piece: int) -> list[tuple[int, int]]:
        """Return which characters of one of the pieces each token after the first ``prompt`` pieces covers.

        From and up to; below 0 before that piece, beyond its length behind it. Raises UserError: as ``encode``.
        """
        _, offsets, starts = self._encode(pieces)
        return [(a - starts[piece], b - starts[piece]) for a, b in offsets if b > starts[prompt]]

    def _encode(self, pieces: Sequence[Piece]) -> tuple[list[int], list[tuple[int, int]], list[int]]:
        """Return token ids, the characters that each covers, and where each of the pieces begins among these."""
        text = "".join(part for part, _ in pieces)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        expected = [self._ids[name] for part, is_data in pieces if not is_data for name in self._known(part)]
        data = "".join(part for part, is_data in pieces if is_data)
        if self._controls(ids) != expected or (self.unknown and self.unknown in data):
            mark = _absent(text)
            pieces = [(part if is_data else self._marked(part, mark), is_data) for part, is_data in pieces]
            copied = self._copy(mark).encode("".join(part for part, _ in pieces), add_special_tokens=False)
            ids, offsets = copied.ids, copied.offsets
            if self._controls(ids) != expected:
                raise UserError(
                    f"the model's tokenizer makes control tokens of the text {data[:80]!r}. Remove such text from the "
                    "data, or take a model whose tokenizer tells text from control tokens."
                )
        starts = list(accumulate((len(part) for part, _ in pieces), initial=0))
        return *self._without_roles(pieces, starts, ids, offsets), starts

    def _known(self, text: str) -> Iterator[str]:
        return (name for name in self._name.findall(text) if name != self.unknown)

    def _controls(self, ids: Sequence[int]) -> list[int]:
        return [number for number in ids if number in self._control]

    def _marked(self, text: str, mark: str) -> str:
        return self._name.sub(lambda found: _renamed(found.group(), mark), text)

    def _copy(self, mark: str) -> Tokenizer:
        """Return a copy of the tokenizer in which the control tokens have names with ``mark`` in them."""
        if mark not in self._copies:
            content = json.loads(self.tokenizer.backend_tokenizer.to_str())
            names = {name: _renamed(name, mark) for name in self.names}
            for token in content["added_tokens"]:
                token["content"] = names.get(token["content"], token["content"])
            model = content["model"]
            if isinstance(model["vocab"], dict):
                model["vocab"] = {names.get(token, token): number for token, number in model["vocab"].items()}
            else:
                model["vocab"] = [[names.get(token, token), score] for token, score in model["vocab"]]
            if isinstance(model.get("unk_token"), str):
                model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
            if "merges" in model:  # a trained vocabulary can have merges that end in the name of a control token
                pairs = (pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"])
                model["merges"] = [[a, b] for a, b in pairs if not names.keys() & {a, b, a + b}]
            copy = Tokenizer.from_str(json.dumps(content))
            copy.no_truncation()
            copy.no_padding()
            self._copies = {mark: copy}
        return self._copies[mark]

    def _without_roles(
        self, pieces: Sequence[Piece], starts: Sequence[int], ids: list[int], offsets: Sequence[tuple[int, int]]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Return ids and offsets with the tokens of a role in data as single characters."""
        roles = [
            (start + found.start(), start + found.end())
            for (part, is_data), start in zip(pieces, starts, strict=False)
            if is_data
            for found in self._role.finditer(part)
        ]
        if not roles:
            return list(ids), list(offsets)
        split = [
            self._characters(number) if any(a < stop and start < b for start, stop in roles) else [number]
            for number, (a, b) in zip(ids, offsets, strict=True)
        ]
        repeated = ([offset] * len(parts) for parts, offset in zip(split, offsets, strict=True))
        return list(chain.from_iterable(split)), list(chain.from_iterable(repeated))

    def _characters(self, number: int) -> list[int]:
        """Return a token as the vocabulary's single characters; a control token, or one without them, as it is."""
        token = self.tokenizer.convert_ids_to_tokens(number)
        parts = [self.tokenizer.backend_tokenizer.token_to_id(character) for character in token]
        return [number] if number in self._control or None in parts else parts


def _absent(text: str) -> str:
    """Return a private-use character that doesn't occur in ``text``."""
    return next(mark for mark in map(chr, range(0xF0000, 0xFFFFE)) if mark not in text)


def _renamed(name: str, mark: str) -> str:
    """Return a name that no text without ``mark`` has in it: it begins, ends and goes on with it."""
    return mark + mark.join(name) + mark
