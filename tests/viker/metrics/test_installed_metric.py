"""A metric of an installed package is one declaration: rows, figures, tables and documentation take it from there."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
MODULE = """
from viker.metrics.base.metric import LOWER, Metric

LENGTH = Metric(
    name="reply_length",
    heading="Length",
    meaning="words of the reply",
    source="a test",
    better=LOWER,
    computed_from="text",
    range=(0.0, float("inf")),
    unit="words",
    of_reply=lambda reply: float(len(reply.text.split())),
)
"""
USE = """
import pandas as pd
from tests.viker.metrics.test_aggregate import OPEN, asked
from viker.evaluation.rows import COLUMNS
from viker.metrics.base.aggregate import differences, measure
from docs.hooks import metrics_table
from viker.report.tables import split_rows

rows = pd.DataFrame([asked(OPEN, "one two three"), asked(OPEN, "one")])
figures = measure(rows, 7)
assert figures["forget"]["reply_length"] == 2
assert figures["forget"]["counts"]["reply_length"] == 2
assert differences(rows, rows, 7)["forget"]["reply_length"]["value"] == 0
assert COLUMNS[-1] == "reply_length"
assert "| `reply_length` | each split | words of the reply | from 0, words | lower | lower |" in metrics_table()
assert split_rows({"vanilla": figures}, "forget")[-1].cells[0].value == "2.00"
"""


def test_it_is_measured_written_and_shown(tmp_path: Path) -> None:
    (tmp_path / "reply_length.py").write_text(MODULE)
    (tmp_path / "reply_length-1.dist-info").mkdir()
    (tmp_path / "reply_length-1.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: reply-length\nVersion: 1\n"
    )
    entry = "[viker.metrics]\nreply_length = reply_length\n"
    (tmp_path / "reply_length-1.dist-info/entry_points.txt").write_text(entry)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
