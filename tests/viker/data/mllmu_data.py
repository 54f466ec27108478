"""A small MLLMU-Bench: the embedded benchmark with fewer people."""

import shutil
from pathlib import Path

from tests.conftest import ROOT
from tests.viker.data.sample import Sample
from viker.data.synthetic.generate import generate


def write_mllmu(folder: Path) -> Path:
    """10 people, 3 pictures of each in Test_Set, 2 celebrities."""
    text = (ROOT / "components/prepare/embedded.yaml").read_text()
    for big, little in (("people: 40", "people: 10"), ("figures: 12", "figures: 2")):
        text = text.replace(big, little)
    folder.parent.mkdir(parents=True, exist_ok=True)
    description = folder.with_suffix(".yaml")
    description.write_text(text.replace("pictures: 2400", "pictures: 1").replace("scenes: 600", "scenes: 1"))
    generate(description, folder, seed=1, forget_share=0.1)
    shutil.rmtree(folder / "Base_Set")
    return folder


TASKS = {"generation": 8, "cloze": 8, "classification": 8}
SAMPLES = [
    Sample(
        label="mllmu",
        write=write_mllmu,
        forget_share=0.1,
        table="forget_10/train-00000-of-00001.parquet",
        column="ID",
        counts={
            "forget": (1, 1, {"qa": 12} | TASKS),
            "test": (1, 3, TASKS),
            "retain": (9, 9, {"qa": 108} | {task: 9 * count for task, count in TASKS.items()}),
            "real": (2, 2, {"qa": 24} | {task: 2 * count for task, count in TASKS.items()}),
            "unseen": (8, 8, {task: 8 * count for task, count in TASKS.items()}),
        },
    )
]
