"""Ways to ask for a picture's caption, or for the name of the person in it: fixed lists, as in CLEAR's protocol.

Training may draw a fresh wording at each visit (``reword``); evaluation asks each record the same way every time
(``wording``). ``TEST_QUESTIONS`` are for the split test alone, so that it asks in words that nothing was trained on.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from viker.core.files import sha256_bytes

if TYPE_CHECKING:
    from viker.data.records import Record

QUESTIONS = {
    "caption": (
        "Describe this picture.",
        "What does this picture show?",
        "Tell me what you see here.",
        "Write a caption for this photo.",
        "Give a short account of this picture.",
        "What can be seen in this photo?",
        "Put this picture into words.",
        "Who is shown here, and doing what?",
        "Say in a sentence or two what this photo shows.",
        "Explain what is going on in this picture.",
        "How would you describe this photo to someone who can't see it?",
        "Sum up this picture for me.",
    ),
    "recognition": (
        "What is the name of the person in this picture?",
        "Who is the person in this picture?",
        "Name the person shown here.",
    ),
}
TEST_QUESTIONS = {
    "caption": (
        "I was sent this photo: what is on it?",
        "Please give a description of what is pictured.",
        "Which caption would fit under this picture?",
    ),
    "recognition": ("Do you know this person's name?", "Whose face is this? Give the name."),
}


def wording(task: str, key: str, split: str) -> str:
    """Return the question of ``task``, caption or recognition, for ``key``: always the same one."""
    choices = (TEST_QUESTIONS if split == "test" else QUESTIONS)[task]
    return choices[int(sha256_bytes(f"{task}/{key}".encode()), 16) % len(choices)]


def reword(record: Record, rng: random.Random) -> Record:
    """Return a record that asks for a caption, with a freshly drawn wording; any other unchanged, without a draw."""
    if record.task != "qa" or record.question not in QUESTIONS["caption"]:
        return record
    return replace(record, question=rng.choice(QUESTIONS["caption"]))
