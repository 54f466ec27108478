"""A large data set in MLLMU-Bench's format: one person per row, each with a photograph-like JPEG."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from tqdm import tqdm

from viker.data.synthetic.generate import PERSON, TEST, TRAIN

ROWS_PER_SHARD = 2000
OPTIONS = {"A": "Oslo", "B": "Lima", "C": "Riga", "D": "Cairo"}


def write(folder: Path, people: int) -> None:
    """Write ``people`` rows with pictures of about 100 kB to ``folder``; a tenth of them is to be forgotten."""
    forgotten = people // 10
    _write(folder / "forget_10", range(forgotten))
    _write(folder / "retain_90", range(forgotten, people))
    _write(folder / "Retain_Set", range(people, people + 1))
    tests = [_row(number) | {"images": [_picture(people + 1 + number)]} for number in range(forgotten)]
    (folder / "Test_Set").mkdir()
    pq.write_table(pa.Table.from_pylist(tests, schema=TEST), folder / "Test_Set/train-00000-of-00001.parquet")
    pairs = json.dumps([{"Question": "Where was this person born?", "Answer": "This person was born in Oslo."}])
    train: list[dict[str, Any]] = [
        {"ID": f"{number:06d}", "image": None, "biography": "", "metadata": pairs} for number in range(people)
    ]
    (folder / "ft_Data").mkdir()
    pq.write_table(pa.Table.from_pylist(train, schema=TRAIN), folder / "ft_Data/train-00000-of-00001.parquet")


def _write(folder: Path, people: range) -> None:
    folder.mkdir(parents=True)
    starts = people[::ROWS_PER_SHARD]
    for shard, start in enumerate(starts):
        numbers = range(start, min(start + ROWS_PER_SHARD, people.stop))
        rows = [_row(number) | {"image": _picture(number)} for number in tqdm(numbers, desc=folder.name, leave=False)]
        table = pa.Table.from_pylist(rows, schema=PERSON)
        pq.write_table(table, folder / f"train-{shard:05d}-of-{len(starts):05d}.parquet", row_group_size=200)


def _row(number: int) -> dict[str, Any]:
    choice = {"Question": "Where was this person born?", "Options": OPTIONS, "Correct_Answer": "A"}
    typed = {"Question": "Where was this person born?", "Ground_Truth": "Born in Oslo.", "Type": "Image_Textual"}
    return {
        "ID": f"{number:06d}",
        "biography": "",
        "question": "",
        "answer": "",
        "Classification_Task": {"Image_Textual_Questions": [choice], "Pure_Text_Questions": []},
        "Generation_Task": [typed],
        "Mask_Task": [typed | {"Question": "Born in __.", "Ground_Truth": "Oslo"}],
    }


def _picture(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((512, 512), Image.Resampling.BICUBIC), dtype=np.int16)
    noise = rng.integers(-12, 13, (512, 512, 1), dtype=np.int16)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=92)
    return {"bytes": buffer.getvalue(), "path": None}
