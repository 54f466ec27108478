"""The key-token heat map of one answer: what the model can't say of it without the person's picture."""

from __future__ import annotations

import html
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from viker.core.errors import UserError
from viker.data.frames import read_frame, read_image
from viker.data.records import as_png
from viker.data.samples import Sample, sample_of
from viker.data.synthetic.scenes import draw_scene
from viker.models.encoder import Encoder
from viker.models.token_texts import byte_level, texts
from viker.teacher.key_tokens import find_key_tokens, key_token_rows
from viker.teacher.visual import compute_teachers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCENES = 5
"""How many irrelevant images are drawn where none are given; the paper's k."""
_COLOUR = (217, 95, 2)


@dataclass(frozen=True)
class HeatMap:
    """The teacher's entropy at each token of an answer; a notebook shows it as text on a scale of colour.

    ``tokens``: one row per token of the answer, end token last: ``text``, ``entropy`` (nats), ``key``, and
    ``probability``, the teacher's of the true token.
    """

    question: str
    tokens: pd.DataFrame

    def _repr_html_(self) -> str:
        return self.html

    @property
    def html(self) -> str:
        """The answer, each token on the colour of its entropy, key tokens underlined; without scripts or resources."""
        top = float(self.tokens["entropy"].max()) or 1.0
        colour = ",".join(map(str, _COLOUR))
        spans = [
            f'<span style="background:rgba({colour},{0.45 * entropy / top:.2f});padding:.1em 0'
            f'{";text-decoration:underline 2px" if key else ""}" '
            f'title="{entropy:.2f} nats{", key token" if key else ""}">{html.escape(text or "·")}</span>'
            for text, entropy, key in zip(*(self.tokens[name] for name in ("text", "entropy", "key")), strict=True)
        ]
        return (
            f'<p style="margin:.2em 0"><small>{html.escape(self.question)}</small><br>'
            f'<span style="white-space:pre-wrap">{"".join(spans)}</span></p>'
        )

    @property
    def figure(self) -> Figure:
        """A bar per token, as high as the teacher's entropy (nats), key tokens in colour; a figure of matplotlib."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(max(4.0, 0.5 * len(self.tokens)), 2.8), layout="constrained")
        axes = figure.add_subplot()
        key, places = self.tokens["key"], range(len(self.tokens))
        colours = [tuple(c / 255 for c in _COLOUR) if one else "#7a8794" for one in key]
        axes.bar(places, self.tokens["entropy"], color=colours)
        labels = [text.strip() or "·" for text in self.tokens["text"]]
        axes.set_xticks(places, labels, rotation=45, ha="right", parse_math=False)
        axes.set_ylabel("entropy, nats")
        axes.set_title("What can't be said without the picture", fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def explain(
    model: Any, processor: Any, sample: Mapping[str, Any], images: Sequence[Any] | None = None, threshold: float = 0.5
) -> HeatMap:
    """Return the key-token heat map of a sample.

    Args:
        model: an image-text-to-text model; of one with an adapter, the model without it is asked.
        processor: its processor.
        sample: ``image``, ``question`` and ``answer``, as a row of a data frame or a mapping has them; the image itself
            is not looked at.
        images: the irrelevant images, as paths, bytes or PIL images; None: ``SCENES`` drawn landscapes.
        threshold: nats; tokens of a higher entropy are key tokens.

    Raises UserError: the sample lacks one of the three, has no picture, or an image can't be read.
    """
    from contextlib import nullcontext

    row = {"person": "1", **{name: sample[name] for name in ("image", "question", "answer") if name in sample}}
    records, _ = read_frame(pd.DataFrame([row]), "sample")
    if not records[0].images:
        raise UserError("sample, row 0, image: none. The heat map is about an answer to a question with a picture.")
    shown = irrelevant_images(images)
    encoder = Encoder(processor, shown, next(model.parameters()).device)
    question = sample_of(records[0], next(iter(shown)))
    model.eval()
    with model.disable_adapter() if hasattr(model, "peft_config") else nullcontext():
        tokens = answer_tokens(model, encoder, [question], list(shown), threshold)
    return HeatMap(question.prompt, tokens[0])


def answer_tokens(
    model: Any, encoder: Encoder, samples: Sequence[Sample], images: Sequence[str], threshold: float
) -> list[pd.DataFrame]:
    """Return for each sample the tokens of its answer as ``HeatMap.tokens`` has them.

    Args:
        model: the model before unlearning, in evaluation mode.
        encoder: has the irrelevant images among its pictures; the samples' own are not looked at.
        samples: questions with answers.
        images: keys of the irrelevant images.
        threshold: nats; tokens of a higher entropy are key tokens.
    """
    teachers = compute_teachers(model, encoder, samples, [tuple(images)] * len(samples), len(samples))
    tables = []
    for sample, teacher in zip(samples, teachers, strict=True):
        rows = key_token_rows([sample], [teacher], encoder, find_key_tokens([sample], [teacher], encoder, threshold))
        raw = list(rows["token"])
        rows["text"] = [*texts(raw[:-1], byte_level(raw)), "⟨end⟩"]
        tables.append(rows[["text", "entropy", "key", "probability"]])
    return tables


def irrelevant_images(images: Sequence[Any] | None) -> dict[str, bytes]:
    """Return irrelevant images by key, encoded: those given, or ``SCENES`` drawn landscapes.

    Raises UserError: none is given, or one can't be read.
    """
    if images is None:
        return {f"scene-{seed}": as_png(draw_scene(random.Random(seed))) for seed in range(SCENES)}
    read = {f"irrelevant-{n}": read_image(image, f"images, number {n}") for n, image in enumerate(images)}
    if not read or None in read.values():
        raise UserError("images: expected at least one irrelevant image, as a path, bytes or a PIL image.")
    return {key: content for key, content in read.items() if content is not None}
