"""People of earlier requests: does the adapter still forget whom the champion has forgotten?

Their own data is gone; they are asked about by the guard sets (``viker.data.guard``). The replies are kept beside
these, encrypted under the same key, for the gate to count again; the metrics have numbers alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viker.attacks.base.outcome import Attempt, empty_block, reply_rows
from viker.attacks.base.rates import rates
from viker.core.pseudonyms import privacy_folder, pseudonym
from viker.data.guard import VARIABLE, guard_files, guard_key, read_encrypted, read_guard, write_encrypted
from viker.data.records import Record
from viker.data.samples import sample_of
from viker.data.tasks import OPEN_TASKS
from viker.metrics.leakage import leaks

if TYPE_CHECKING:
    from viker.attacks.base.subject import Subject

MOST = 2000
"""Questions that are asked at most; which, is drawn by the adapter's hash, so nobody could train against them."""


@dataclass(frozen=True)
class Guarded:
    """What can be asked about people of earlier requests: questions, their pictures by hash, whose they are.

    ``kept``: how many guard sets there are; ``read``: how many of them, all or none, as there is one key for all.
    """

    attempts: Sequence[Attempt] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    people: frozenset[str] = frozenset()
    kept: int = 0
    read: int = 0


def guarded_questions(records: Collection[Record]) -> list[Record]:
    """Return the open questions among a guard set's records, each with the private values that it doesn't mention."""
    return [
        replace(record, secrets=secrets)
        for record in records
        if record.task in OPEN_TASKS
        and (secrets := tuple(one for one in record.secrets if not leaks(record.question, [one])))
    ]


def read_guarded(adapter_sha256: str) -> Guarded:
    """Return what the guard sets hold; nothing is read without a key.

    Raises UserError: the key is another one than they were encrypted under, or one is damaged.
    """
    files, cipher = guard_files(), guard_key()
    if cipher is None or not files:
        return Guarded(kept=len(files))
    records, pictures = list[Record](), dict[str, bytes]()
    for file in files:
        some, shown = read_guard(file, cipher)
        records += some
        pictures |= shown
    asked = {record.id: record for record in guarded_questions(records)}  # two requests may name a person
    drawn = sorted(asked, key=lambda one: sha256(f"{adapter_sha256} {one}".encode()).digest())[:MOST]
    attempts = [_attempt(asked[name], pictures) for name in drawn]
    return Guarded(attempts, pictures, frozenset(record.person_id for record in asked.values()), len(files), len(files))


def ask_earlier(subject: Subject, guarded: Guarded, gone: Collection[str], seed: int) -> dict[str, Any]:
    """Ask the unlearned model about them, keep the replies encrypted, and return ``count_earlier``."""
    said = list[str]()
    if guarded.attempts:
        shown = subject.with_pictures(guarded.pictures)
        said = shown.replies([attempt.sample for attempt in guarded.attempts], "earlier requests")
        keep_replies(guarded, said, subject.adapter_sha256 or "")
    return count_earlier(guarded, said, gone, seed)


def keep_replies(guarded: Guarded, replies: Sequence[str], adapter_sha256: str) -> None:
    """Write an adapter's replies, one for each of ``guarded.attempts``, encrypted beside the guard sets."""
    if cipher := guard_key():
        pairs = [[attempt.record.id, reply] for attempt, reply in zip(guarded.attempts, replies, strict=True)]
        write_encrypted(_replies_file(adapter_sha256), pairs, cipher)


def kept_replies(guarded: Guarded, adapter_sha256: str) -> list[str] | None:
    """Return the replies that were kept of an adapter; None: there are none, or to other questions.

    Raises UserError: they were encrypted under another key, or damaged.
    """
    if not guarded.attempts:
        return []
    path, cipher = _replies_file(adapter_sha256), guard_key()
    if cipher is None or not path.is_file():
        return None
    pairs = read_encrypted(path, cipher)
    same = [name for name, _ in pairs] == [attempt.record.id for attempt in guarded.attempts]
    return [str(reply) for _, reply in pairs] if same else None


def count_earlier(guarded: Guarded, replies: Sequence[str], gone: Collection[str], seed: int) -> dict[str, Any]:
    """Return the block ``earlier`` of the metrics.

    Rates, ``intervals`` (exact 95 % bounds by person), ``samples`` and ``people`` as of an attack, see
    ``viker.attacks.base.rates``; ``forgotten_people``: how many are forgotten by requests that are carried out, of
    them ``unguarded_people`` without a guard set that could be read; ``guard_sets``: how many are kept, of them
    ``unread_guard_sets``. Without questions the rates are None, and ``reason`` says why.

    Args:
        replies: one for each of ``guarded.attempts``.
        gone: who is forgotten by requests that are carried out, IDs or pseudonyms.
    """
    unread = guarded.kept - guarded.read
    if guarded.attempts:
        block = rates(reply_rows(guarded.attempts, ([reply] for reply in replies)), seed)
    elif unread:
        block = empty_block(f"{VARIABLE} is not set, so the guard sets can't be read")
    else:
        block = empty_block("no guard set is kept" if gone else "nobody was forgotten by an earlier request")
    unguarded = {pseudonym(one) for one in gone} - {pseudonym(one) for one in guarded.people} if gone else set()
    counts = {"forgotten_people": len(gone), "unguarded_people": len(unguarded)}
    return block | counts | {"guard_sets": guarded.kept, "unread_guard_sets": unread}


def _attempt(record: Record, pictures: Mapping[str, bytes]) -> Attempt:
    shown = next((one for one in record.images if one in pictures), "") if record.modality == "image_text" else ""
    return Attempt(record, sample_of(record, shown))


def _replies_file(adapter_sha256: str) -> Path:
    return privacy_folder() / "guard" / "replies" / f"{adapter_sha256[:16]}.fernet"
