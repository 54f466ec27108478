"""Chat template: the text around question and answer, read with placeholders: no data passes through the template."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from transformers import PaliGemmaProcessor

from viker.core.errors import UserError
from viker.models.control_tokens import control_tokens

_SPACE = "\u2003"
"""A space on each side of a placeholder: it is gone where the template trims what it is given."""
_QUESTION, _ANSWER, _NEXT = "\ue000", "\ue001", "\ue002"
"""Placeholders of a question, its answer and the next question."""


@dataclass(frozen=True)
class Frame:
    """The text around a question and its answer: ``before`` question ``after`` ``lead`` answer ``end``.

    ``before`` has the BOS token and, with a picture, the processor's placeholder of it, or ``after`` has. The prompt
    ends with ``after``. ``end`` is the token that ends an answer. ``trims``: whether the template strips the question's
    left and right end.
    """

    before: str
    after: str
    lead: str
    end: str
    trims: tuple[bool, bool]

    def question(self, text: str) -> str:
        """Return a question as the template takes it over."""
        left, right = self.trims
        text = text.lstrip() if left else text
        return text.rstrip() if right else text


class ChatTemplate:
    """The text around question and answer for one family of models."""

    def __init__(self, processor: Any, where: str = "the model", line_before_reply: bool = False) -> None:
        """Take the chat template of the processor, or of its tokenizer, and read it; ``where`` is for errors.

        ``line_before_reply``: whether the reply's role begins a line where the template only has a space before it.

        PaliGemma has none: its models were trained on ``{picture}{bos}{question}\\n``.

        Raises UserError: there is no template, it can't be rendered, or leaves out the question or the picture.
        """
        self.processor, self.tokenizer, self.where = processor, processor.tokenizer, where
        self.source = "processor"
        """Where it was found: "processor", "tokenizer" or "PaliGemma's convention"."""
        self.text = _chosen(getattr(processor, "chat_template", None))
        if self.text is None:
            self.source, self.text = "tokenizer", _chosen(getattr(self.tokenizer, "chat_template", None))
        if self.text is None:
            self.source = "PaliGemma's convention"
            if not isinstance(processor, PaliGemmaProcessor):
                raise UserError(
                    f"{where}: neither its processor nor its tokenizer has a chat template, so it isn't known how this "
                    "model is asked. Put the template that it was trained with into its folder as chat_template.jinja."
                )
        self.line_before_reply = line_before_reply
        self._frames = {with_picture: self._read(with_picture) for with_picture in (True, False)}

    @cached_property
    def bos(self) -> str:
        """The BOS token where the tokenizer adds it by itself, else empty."""
        first = self.tokenizer("")["input_ids"][:1]
        return str(self.tokenizer.bos_token) if first and first[0] == self.tokenizer.bos_token_id else ""

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """What announces a turn in plain text ("ASSISTANT:"), where no control token separates question and answer.

        Families whose turns are all separated by control tokens have none: data can't spell those.
        """
        if self.text is None:
            return ()
        pattern = re.compile("|".join(map(re.escape, control_tokens(self.processor, self.text))) or "(?!)")
        turns = [("user", _QUESTION), ("assistant", _ANSWER), ("user", _NEXT)]
        try:
            text = self._render(turns, False, begin=False)
        except UserError:  # a template for one question and its answer
            text = self._render(turns[:2], False, begin=False) + _NEXT
        gap, _, rest = text.partition(_QUESTION)[2].partition(_ANSWER)
        between = [gap, rest.partition(_NEXT)[0]]
        if all(map(pattern.search, between)):
            return ()
        return tuple(dict.fromkeys(filter(None, (pattern.split(gap)[-1].strip() for gap in between))))

    def frame(self, with_picture: bool) -> Frame:
        """Return the text around a question and its answer."""
        return self._frames[with_picture]

    def prompt(self, question: str, with_picture: bool) -> str:
        """Return the text up to where the answer starts, a picture as the processor's placeholder, BOS included.

        BOS is added only where the template doesn't bring it.
        """
        frame = self.frame(with_picture)
        return f"{frame.before}{frame.question(question)}{frame.after}"

    def _read(self, with_picture: bool) -> Frame:
        if self.text is None:
            picture = self.processor.image_token if with_picture else ""
            bos_after = "" if self.bos else self.tokenizer.bos_token or ""
            return Frame(f"{self.bos}{picture}{bos_after}", "\n", "", str(self.tokenizer.eos_token), (False, False))
        question = f"{_SPACE}{_QUESTION}{_SPACE}"
        # A space before the answer is part of its first token.
        text = self._render([("user", question)], with_picture).rstrip(" ")
        text = text if text.startswith(self.bos) else self.bos + text
        before, _, after = text.partition(_QUESTION)
        pictures = (before + after).count(self.processor.image_token)
        if pictures != with_picture:
            where = "a question about one" if with_picture else "a question without one"
            raise self._refused(
                f"puts {pictures or 'no'} picture{'s' * (pictures > 1)} ({self.processor.image_token}) into the prompt "
                f"of {where}"
            )
        if text.count(_QUESTION) != 1:
            raise self._refused("doesn't put the question into the prompt, once and as it is")
        trims = not before.endswith(_SPACE), not after.startswith(_SPACE)
        after = after.removeprefix(_SPACE)
        if self.line_before_reply and after.startswith(" "):
            after = "\n" + after.lstrip(" ")
        frame = before.removesuffix(_SPACE), after
        return Frame(*frame, *self._answer(with_picture), trims)

    def _answer(self, with_picture: bool) -> tuple[str, str]:
        """Return what the template puts between prompt and answer, and the token that ends an answer.

        That token is the first special token after the answer (``<|im_end|>``, ``<end_of_utterance>``, …), or the
        tokenizer's EOS where the template has none.
        """
        prompt = self._render([("user", "?")], with_picture).rstrip(" ")
        text = self._render([("user", "?"), ("assistant", _ANSWER)], with_picture, begin=False)
        before, _, after = text.partition(_ANSWER)
        lead = before.removeprefix(prompt) if before.startswith(prompt) else ""
        special = [t.content for t in self.tokenizer.added_tokens_decoder.values() if t.special]
        ends = [token for token in special if after.lstrip().startswith(token)]
        return lead, max(ends, key=len, default=str(self.tokenizer.eos_token))

    def _render(self, turns: list[tuple[str, str]], with_picture: bool, begin: bool = True) -> str:
        messages: list[dict[str, Any]] = [
            {"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns
        ]
        if with_picture:
            messages[0]["content"].insert(0, {"type": "image"})
        try:
            text = self.processor.apply_chat_template(messages, chat_template=self.text, add_generation_prompt=begin)
        except Exception as error:  # a template is a program: it raises what it likes
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            about = "about a picture" if with_picture else "without a picture"
            raise self._refused(f"can't be rendered for a question {about} ({reason})") from None
        return str(text)

    def _refused(self, problem: str) -> UserError:
        return UserError(
            f"{self.where}: the chat template of its {self.source} {problem}. It is the template of another model, or "
            "one for text alone. Put the template that the model was trained with into its folder as "
            "chat_template.jinja; each turn's content is a list of parts of the types 'image' and 'text'."
        )


def _chosen(template: Any) -> str | None:
    """Return a template's text; of several by name, the one called "default"."""
    if isinstance(template, Mapping):
        template = template.get("default")
    return template or None
