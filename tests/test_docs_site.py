"""The documentation as a site: it builds without a warning, with the tables that are made from declarations."""

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

from viker.attacks.base.attack import load_attacks
from viker.data.formats.base.format import formats
from viker.metrics.base.catalogue import all_metrics

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


def rows(site: Path, page: str) -> str:
    return html.unescape((site / page / "index.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("page", "cells"),
    [
        ("evaluation", ("<code>leakage_rate</code>", "share of replies", "this project")),
        ("methods", ("<code>npo</code>", "Negative preference optimisation", "arXiv 2404.05868")),
        ("attacks", ("<code>paraphrase</code>", "Paraphrase", "<code>wordings</code> other ways")),
        ("data", ("<code>umu</code>", "Parquet shards", "QDRhhhh/UMU-bench")),
        ("gate", ("<code>strict</code>", "can't be called back")),
        ("gate", ("<code>unlearned.forget.leakage_rate <= 0.10</code>", "facts that were not forgotten")),
    ],
)
def test_a_page_has_the_table_of_its_declarations(site: Path, page: str, cells: tuple[str, ...]) -> None:
    for row in rows(site, page).split("<tr>"):
        if cells[0] in row and all(cell in row for cell in cells):
            return
    pytest.fail(f"{page} has no row with {', '.join(cells)}")


def test_every_metric_is_compared_with_published_code() -> None:
    page = (ROOT / "docs/comparison.md").read_text(encoding="utf-8")
    table = page.partition("## Metrics")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    listed = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert len(set(listed)) == len(listed) and set(listed) <= {metric.name for metric in all_metrics()}
    compared = re.compile("MLLMU|CLEAR|UMU|TOFU|open-unlearning|this project", re.IGNORECASE)
    assert {metric.name for metric in all_metrics() if compared.search(metric.source)} <= set(listed)


def test_every_placeholder_is_replaced(site: Path) -> None:
    assert [page for page in site.rglob("*.html") if "<!-- table:" in page.read_text(encoding="utf-8")] == []


def test_what_makes_the_tables_is_no_part_of_the_site(site: Path) -> None:
    assert list(site.rglob("hooks.py")) == []


def test_the_tables_by_hand_name_what_is_declared() -> None:
    data, attacks = ((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("data.md", "attacks.md"))
    contents = data[data.index("| format |") : data.index("A benchmark is a folder")]
    demo = attacks[attacks.index("| attack | replies |") : attacks.index("What the numbers don't show")]
    assert set() < set(first_cells(contents)) <= set(formats())
    assert set() < set(first_cells(demo)) <= set(load_attacks())


def first_cells(table: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
