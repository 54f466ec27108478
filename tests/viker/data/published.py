"""The benchmarks as published: configurations with rows, columns and Arrow types; and writing them to disk.

Sources, read in 2026: the cards and viewers of the data sets on the hub, ``MLLMMU/MLLMU-Bench``, ``therem/CLEAR`` (with
its history: ``name`` came with the commits up to 698f674, ``question`` of ``real_faces`` with a7438d4) and
``linbojunzi/UMU-bench``; where these say nothing, what the authors' code reads: franciscoliu/MLLMU-Bench,
somvy/multimodal_unlearning, QDRhhhh/UMU-bench on GitHub. The hub rounds row counts above a thousand to tens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEXT, TEXTS = pa.string(), pa.list_(pa.string())
IMAGE = pa.struct([("bytes", pa.binary()), ("path", TEXT)])
Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Configuration:
    """One configuration of a benchmark."""

    rows: int
    """As published."""
    columns: pa.Schema
    shards: int = 1
    folder: str = ""
    """Where it isn't called as the configuration."""


def columns(**kinds: pa.DataType) -> pa.Schema:
    return pa.schema(list(kinds.items()))


_NAMED = columns(image=IMAGE, caption=TEXT, name=TEXT)
_TOFU = columns(image=IMAGE, caption=TEXT, question=TEXT, answer=TEXT)
_PERTURBED = columns(
    image=IMAGE, caption=TEXT, name=TEXT, perturbed_captions=TEXTS, paraphrased_caption=TEXT, perturbed_names=TEXTS
)
_OPTIONS = columns(image=IMAGE, question=TEXT, answer=TEXT, options=TEXTS)
CLEAR = {
    "default": Configuration(3768, _NAMED, shards=2, folder="data"),
    "full": Configuration(3770, columns(image=IMAGE, caption=TEXT), shards=2),
    "full+tofu": Configuration(7770, _TOFU, shards=2),
    "forget01": Configuration(35, _NAMED),
    "forget05": Configuration(188, _NAMED),
    "forget10": Configuration(379, _NAMED),
    "forget01+tofu": Configuration(75, _TOFU),
    "forget05+tofu": Configuration(388, _TOFU),
    "forget10+tofu": Configuration(779, _TOFU),
    "forget01_perturbed": Configuration(35, _PERTURBED),
    "forget05_perturbed": Configuration(188, _PERTURBED),
    "forget10_perturbed": Configuration(378, _PERTURBED),
    "retain99": Configuration(3740, _NAMED, shards=2),
    "retain95": Configuration(3580, _NAMED, shards=2),
    "retain90": Configuration(3390, _NAMED, shards=2),
    "retain99+tofu": Configuration(7700, _TOFU, shards=2),
    "retain95+tofu": Configuration(7380, _TOFU, shards=2),
    "retain90+tofu": Configuration(6990, _TOFU, shards=2),
    "retain_perturbed": Configuration(395, _PERTURBED),
    "real_faces": Configuration(151, _OPTIONS),
    "real_world": Configuration(367, _OPTIONS),
}
LATER = {"real_faces": {"question"}}
"""Columns of CLEAR that its first commits lack; those of the other configurations are ``name, perturbed_names``."""
CLEAR_FIRST_COMMITS = {
    name: replace(
        one, columns=pa.schema([f for f in one.columns if f.name not in LATER.get(name, {"name", "perturbed_names"})])
    )
    for name, one in CLEAR.items()
}

_CHOICE = pa.struct(
    [
        ("Correct_Answer", TEXT),
        ("Options", pa.struct([(letter, TEXT) for letter in "ABCD"])),
        ("Question", TEXT),
    ]
)
_TYPED = pa.list_(pa.struct([("Ground_Truth", TEXT), ("Question", TEXT), ("Type", TEXT)]))
_TASKS = {
    **{"biography": TEXT, "question": TEXT, "answer": TEXT},
    "Classification_Task": pa.struct(
        [("Image_Textual_Questions", pa.list_(_CHOICE)), ("Pure_Text_Questions", pa.list_(_CHOICE))]
    ),
    **{"Generation_Task": _TYPED, "Mask_Task": _TYPED},
}
_PROFILE = columns(image=IMAGE, ID=TEXT, Directory=TEXT, **_TASKS)
_TRAINING = columns(image=IMAGE, ID=TEXT, biography=TEXT, metadata=TEXT)
MLLMU = {
    "Full_Set": Configuration(500, _PROFILE),
    "Retain_Set": Configuration(153, columns(image=IMAGE, ID=TEXT, **_TASKS)),
    "Test_Set": Configuration(500, columns(images=pa.list_(IMAGE), ID=TEXT, **_TASKS), shards=2),
    "ft_Data": Configuration(500, _TRAINING),
    **{f"forget_{percent}": Configuration(5 * percent, _PROFILE) for percent in (5, 10, 15)},
    **{f"retain_{percent}": Configuration(5 * percent, _PROFILE) for percent in (95, 90, 85)},
}
MLLMU_BASELINES = {
    f"{kind}_{percent}": Configuration(5 * percent, columns(image=IMAGE, metadata=TEXT))
    for kind, percents in (("forget", (5, 10, 15)), ("retain", (95, 90, 85)))
    for percent in percents
}
"""``MLLMMU/baseline_train_split``, as far as the authors' baselines read it."""

_FACTS = columns(
    ID=TEXT, image=IMAGE, Biography=TEXT, MM_QA=TEXT, UM_QA=TEXT, Classify=TEXT, Cloze=TEXT, Generation=TEXT
)
UMU = {
    "Full_Set": Configuration(500, _FACTS, shards=2),
    "Real_Person_Set": Configuration(153, _FACTS),
    **{f"forget_{percent}": Configuration(5 * percent, _FACTS) for percent in (5, 10, 15)},
    **{f"retain_{percent}": Configuration(5 * percent, _FACTS) for percent in (95, 90, 85)},
}


def scaled(count: int, factor: int) -> int:
    """Return a published number scaled down, rounded, at least 1."""
    return max(1, int(count / factor + 0.5))


def write_benchmark(folder: Path, published: Mapping[str, Configuration], contents: Mapping[str, Rows]) -> Path:
    """Write every configuration of a benchmark to ``folder``, with the published columns, types and shards."""
    assert set(contents) == set(published)
    for name, one in published.items():
        write(folder / (one.folder or name), one.columns, contents[name], one.shards)
    return folder


def write(folder: Path, schema: pa.Schema, rows: Rows, shards: int) -> None:
    """Write rows that have the columns of ``schema``, no more and no fewer, as so many shards; the last is shortest."""
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(rows) // shards)
    for number in range(shards):
        part = list(rows[number * size : (number + 1) * size])
        assert all(set(row) == set(schema.names) for row in part)
        path = folder / f"train-{number:05d}-of-{shards:05d}.parquet"
        pq.write_table(pa.Table.from_pylist(part, schema=schema), path)
