"""From TOFU's text and scikit-image's faces to a folder in MLLMU-Bench's on-disk format."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.tofu import pictures
from benchmarks.tofu.figures import figure_pairs, figure_tasks, read_figures
from benchmarks.tofu.strangers import base_rows
from benchmarks.tofu.tasks import pool, tasks, training_pairs
from benchmarks.tofu.text import Author, Pair, read_authors, read_rows
from viker.core.errors import UserError
from viker.core.files import new_folder
from viker.data.synthetic.generate import BASE, PERSON, TEST, TRAIN

ROWS_A_SHARD = 40
"""At least, and at most four shards."""
TEST_PICTURES = 3


def convert(text: Path, out: Path, forget_share: float, seed: int) -> dict[str, int]:
    """Write the benchmark to ``out`` and return the number of rows of each configuration.

    Author i has face i. The authors to forget are the first, counting those first whose questions TOFU words in a
    second way. A real author has the morph of two faces of authors who stay, in brown: lfw_subset has no more faces,
    and one that is forgotten must not be part of one that stays. The same arguments give the same bytes.

    Raises:
        UserError: TOFU's files are missing or not as TOFU has them, there are more authors than faces, or the share
            leaves nobody to forget or too few to keep.
    """
    authors, figures = read_authors(text), read_figures(text)
    knowledge = [Pair(row["question"], row["answer"]) for row in read_rows(text / "world_facts.jsonl")]
    faces, patches = pictures.load_patches()
    forgotten = _to_forget(authors, forget_share, text)

    rng = random.Random(seed)
    values = pool(authors)
    face_of = {author.id: faces[number] for number, author in enumerate(authors)}
    rows = [_portrait(a.id, pictures.portrait(face_of[a.id])) | tasks(a, values, rng) for a in authors]
    tests = [_variations(a.id, face_of[a.id], rng) | tasks(a, values, rng, test=True) for a in authors]
    staying = [author for author in authors if author.id not in forgotten]
    spare = [face_of[author.id] for author in staying]
    morphs = _morphs(spare, len(figures), rng)
    public = [_portrait(f.id, m) | figure_tasks(f, rng) for f, m in zip(figures, morphs, strict=True)]
    pairs = [*map(training_pairs, authors), *map(figure_pairs, figures)]
    train = [row | {"metadata": json.dumps(p)} for row, p in zip([*rows, *public], pairs, strict=True)]
    base = [row | {"metadata": json.dumps(p)} for row, p in base_rows(staying, spare, patches, knowledge, rng)]

    percent = round(100 * forget_share)
    configurations = {
        f"forget_{percent}": ([row for row in rows if row["ID"] in forgotten], PERSON),
        f"retain_{100 - percent}": ([row for row in rows if row["ID"] not in forgotten], PERSON),
        "Test_Set": (tests, TEST),
        "Retain_Set": (public, PERSON),
        "ft_Data": (train, TRAIN),
        "Full_Set": (rows, PERSON),
        "Base_Set": (base, BASE),
    }
    with new_folder(out) as folder:
        for name, (content, schema) in configurations.items():
            _write(folder / name, content, schema)
    return {name: len(content) for name, (content, _) in configurations.items()}


def _to_forget(authors: Sequence[Author], share: float, text: Path) -> set[str]:
    if len(authors) > pictures.FACES:
        raise UserError(
            f"{text / 'authors.jsonl'}: {len(authors)} authors, but lfw_subset has {pictures.FACES} faces. "
            f"Leave {pictures.FACES} of them in the file."
        )
    count = round(share * len(authors))
    if not 0 < share < 1 or count < 1 or len(authors) - count < 2:
        raise UserError(
            f"--forget-share is {share}: of {len(authors)} authors that forgets {count}. "
            "Give a share between 0 and 1 that forgets at least one and keeps at least two."
        )
    second = [author for author in authors if any(pair.reworded for pair in author.pairs)]
    ranked = second + [author for author in authors if author not in second]
    return {author.id for author in ranked[:count]}


def _portrait(identity: str, content: bytes) -> dict[str, Any]:
    file = f"{identity}.png"
    return {"ID": identity, "Directory": file, "image": {"bytes": content, "path": file}}


def _variations(identity: str, face: Any, rng: random.Random) -> dict[str, Any]:
    images = [{"bytes": pictures.variation(face, rng), "path": None} for _ in range(TEST_PICTURES)]
    return {"ID": identity, "images": images}


def _morphs(faces: Sequence[Any], count: int, rng: random.Random) -> list[bytes]:
    """Return ``count`` pictures of nobody, each of another pair of faces as long as there are enough."""
    couples = [(one, other) for one in range(len(faces)) for other in range(len(faces)) if one != other]
    rng.shuffle(couples)
    chosen = [couples[number % len(couples)] for number in range(count)]
    return [pictures.sepia(pictures.portrait(pictures.morph(faces[one], faces[other]))) for one, other in chosen]


def _write(folder: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    folder.mkdir()
    size = max(ROWS_A_SHARD, len(rows) // 4 + 1)
    shards = [rows[start : start + size] for start in range(0, len(rows), size)]
    for number, shard in enumerate(shards):
        table = pa.Table.from_pylist([{key: row[key] for key in schema.names} for row in shard], schema=schema)
        pq.write_table(table, folder / f"train-{number:05d}-of-{len(shards):05d}.parquet")
