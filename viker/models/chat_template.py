"""Chat template: the text around question and answer, from the processor or, without one, by PaliGemma's convention."""

from functools import cached_property
from typing import Any

_ANSWER = "\ue000"
"""Placeholder for the answer while the template is read; a private-use character, so no template contains it."""


class ChatTemplate:
    """The text around question and answer for one family of models."""

    def __init__(self, processor: Any) -> None:
        """Take the processor, whose chat template is used; ``prompt`` says what happens without one."""
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self._frames: dict[bool, tuple[str, str]] = {}

    @cached_property
    def bos(self) -> str:
        """The BOS token where the tokenizer adds it by itself, else empty."""
        first = self.tokenizer("")["input_ids"][:1]
        return str(self.tokenizer.bos_token) if first and first[0] == self.tokenizer.bos_token_id else ""

    def prompt(self, question: str, with_picture: bool) -> str:
        """Return the text up to where the answer starts, a picture as the processor's placeholder, BOS included.

        Without a chat template (PaliGemma) it is ``{picture}{bos}{question}\\n``, the prefix that those models were
        trained on. BOS is added only where the template doesn't bring it.
        """
        if not self._has_template:
            picture = self.processor.image_token if with_picture else ""
            bos_after = "" if self.bos else self.tokenizer.bos_token or ""
            return f"{self.bos}{picture}{bos_after}{question}\n"
        # A space before the answer is part of its first token.
        text = self._render(question, with_picture, None).rstrip(" ")
        return text if text.startswith(self.bos) else self.bos + text

    def answered(self, prompt: str, answer: str, with_picture: bool) -> str:
        """Return ``prompt`` with the answer and its end token, as the template continues it."""
        lead, end = self._frame(with_picture)
        return f"{prompt}{lead}{answer}{end}"

    def before_answer(self, prompt: str, with_picture: bool) -> str:
        """Return ``prompt`` up to where ``answered`` begins the answer."""
        return prompt + self._frame(with_picture)[0]

    def _frame(self, with_picture: bool) -> tuple[str, str]:
        """Return what the template puts between prompt and answer, and the token that ends an answer.

        That token is the first special token after the answer (``<|im_end|>``, ``<end_of_utterance>``, …), or the
        tokenizer's EOS where the template has none.
        """
        if not self._has_template:
            return "", str(self.tokenizer.eos_token)
        if with_picture not in self._frames:
            prompt = self._render("?", with_picture, None).rstrip(" ")
            before, _, after = self._render("?", with_picture, _ANSWER).partition(_ANSWER)
            lead = before.removeprefix(prompt) if before.startswith(prompt) else ""
            special = [t.content for t in self.tokenizer.added_tokens_decoder.values() if t.special]
            ends = [token for token in special if after.lstrip().startswith(token)]
            self._frames[with_picture] = (lead, max(ends, key=len, default=str(self.tokenizer.eos_token)))
        return self._frames[with_picture]

    @property
    def _has_template(self) -> bool:
        return getattr(self.processor, "chat_template", None) is not None

    def _render(self, question: str, with_picture: bool, answer: str | None) -> str:
        content: list[dict[str, str]] = [{"type": "image"}] if with_picture else []
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]
        if answer is not None:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        return str(self.processor.apply_chat_template(messages, add_generation_prompt=answer is None))
