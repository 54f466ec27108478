"""TOFU's real authors, for the configuration Retain_Set: who they are, and what is asked about them."""

import random
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.tofu.tasks import choice, typed
from benchmarks.tofu.text import read_rows
from viker.core.errors import UserError
from viker.data.prompts import LETTERS

_APPOSED = re.compile(r"^The (?:author|writer) of .*['’], ([^,'’]+), (?:was|hailed)")
"""A question that names its author and asks for something else."""
_WROTE = re.compile(r"^Who (?:wrote|penned|authored|created) (.+)\?$")
_IDENTITY = "Who is the person in the picture?"


@dataclass
class Figure:
    """A real author; each question with its answer and three wrong ones."""

    id: str
    name: str
    questions: list[tuple[str, str, list[str]]] = field(default_factory=list)


def read_figures(folder: Path) -> list[Figure]:
    """Read ``real_authors.jsonl``; questions about the same author come together.

    Raises:
        UserError: a missing file, a line that is not what TOFU has there, too few wrong answers.
    """
    source = folder / "real_authors.jsonl"
    figures: list[Figure] = []
    for number, row in enumerate(read_rows(source), start=1):
        wrong = [text for text in row["perturbed_answer"] if text != row["answer"]][: len(LETTERS) - 1]
        if len(wrong) < len(LETTERS) - 1:
            raise UserError(
                f"{source}: line {number}: 'perturbed_answer' has {len(wrong)} wrong answers, "
                f"expected {len(LETTERS) - 1}. Use the file as TOFU has it."
            )
        apposed = _APPOSED.match(row["question"])
        name = apposed[1] if apposed else row["answer"]
        figure = next((f for f in figures if _same(f.name, name)), None)
        if figure is None:
            figure = Figure(f"real-{len(figures):03d}", name)
            figures.append(figure)
        figure.questions.append((row["question"], row["answer"], wrong))
    return figures


def figure_tasks(figure: Figure, rng: random.Random) -> dict[str, Any]:
    """Return the columns biography, question, answer and the three tasks of one real author."""
    pairs = figure_pairs(figure)
    choices = [choice(question, right, wrong, rng) for question, right, wrong in figure.questions]
    clozes = [typed("The person in the picture is called __.", figure.name, "Image_Textual")]
    clozes += [
        typed(f"__ wrote {wrote[1]}.", right, kind)
        for question, right, _ in figure.questions
        if (wrote := _WROTE.match(question))
        for kind in ("Image_Textual", "Pure_Text")
    ]
    return {
        "biography": " ".join(f"{question} {right}." for question, right, _ in figure.questions),
        "question": pairs[0]["Question"],
        "answer": pairs[0]["Answer"],
        "Classification_Task": {"Image_Textual_Questions": choices, "Pure_Text_Questions": choices},
        "Generation_Task": [typed(pair["Question"], pair["Answer"], "Image_Textual") for pair in pairs]
        + [typed(question, right, "Pure_Text") for question, right, _ in figure.questions],
        "Mask_Task": clozes,
    }


def figure_pairs(figure: Figure) -> list[dict[str, str]]:
    """Return the pairs for training with the picture: who it shows, and TOFU's questions."""
    identity = {"Question": _IDENTITY, "Answer": f"The person in the picture is {figure.name}."}
    return [identity, *({"Question": question, "Answer": right} for question, right, _ in figure.questions)]


def _same(first: str, second: str) -> bool:
    """Return whether two spellings name one person: accents apart, or a family name beside the full one."""
    one, other = _words(first), _words(second)
    return one == other or (min(len(one), len(other)) == 1 and one[-1:] == other[-1:])


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFD", name.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)).split()
