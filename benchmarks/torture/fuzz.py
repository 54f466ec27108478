"""Whatever bytes or values a person brings: a result or a UserError, from every place where something is read."""

import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from benchmarks.torture.result import Case, Count
from viker.core.errors import UserError

ROOT = Path(__file__).parents[2]
_TEXT = st.text(max_size=40)
_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_VALUE = st.recursive(_SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4))
_NASTY = (b"\0", b"\xff", b"'", b'"', b"{", b"[", b": ", b"\n", b"1e999", b"&a *a", b"!!")
_ROW_KEYS = ("person_id", "question", "answer", "image", "split", "options", "paraphrases", "perturbed_answers", "x")


def fuzz(folder: Path, examples: int, seed: int) -> list[Count]:
    """Feed each reader ``examples`` inputs; anything but a result or a UserError is a fault."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_tried(name, folder, strategy, read, examples, seed) for name, strategy, read in _readers()]


def _tried(
    name: str, folder: Path, strategy: Any, read: Callable[[Path, Any], object], examples: int, seed: int
) -> Count:
    ran, failed = 0, list[Case]()

    @seeded(seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(value: Any) -> None:
        nonlocal ran
        ran += 1
        try:
            read(folder, value)
        except UserError:
            pass
        except Exception as error:  # anything but a UserError is the fault being fuzzed for; it is reported
            failed.append(Case(f"{name}: {value!r}"[:300], [f"{type(error).__name__}: {error}"[:300]]))

    one()
    return Count(f"fuzz {name}", ran, failed[:20])


def _readers() -> Iterator[tuple[str, Any, Callable[[Path, Any], object]]]:
    rows = st.lists(st.dictionaries(st.sampled_from(_ROW_KEYS), _VALUE, max_size=7), max_size=4)
    yield "own data, JSONL of values", rows, _jsonl
    yield "own data, JSONL of bytes", _damaged("\n".join(map(json.dumps, _good_rows())).encode()), _bytes_of("t.jsonl")
    yield "own data, CSV of bytes", _damaged(b"person_id,question,answer\na,b?,c\n"), _bytes_of("t.csv")
    yield "own data, Parquet of bytes", _damaged(_parquet()), _bytes_of("t.parquet")
    request = b"id: r1\ndate: 2026-11-01\npeople: ['001', '002']\nreason: erasure\ndeadline: 2026-12-01\n"
    yield "forget request", _damaged(request), _request
    policy = (ROOT / "viker/gate/policies/default.yaml").read_bytes()
    yield "policy", _damaged(policy), _policy
    yield "rule", _TEXT, lambda _, text: _rule(text)
    yield "evidence bundle", _damaged(_bundle()), _evidence
    yield "params.yaml", _damaged((ROOT / "params.yaml").read_bytes()), _params


def _damaged(good: bytes) -> Any:
    """Draw ``good`` with some bytes changed, cut out, doubled or put in, and any bytes at all."""

    @st.composite
    def damaged(draw: Any) -> bytes:
        rng = random.Random(draw(st.integers(0, 2**32)))
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at, length = rng.randrange(len(data) + 1), rng.randint(0, 8)
            kind = rng.randrange(4)
            if kind == 0:
                data[at : at + length] = rng.randbytes(length)
            elif kind == 1:
                del data[at : at + length * 8]
            elif kind == 2:
                data[at:at] = data[at : at + length * 4]
            else:
                data[at:at] = rng.choice(
                    (b"\0", b"\xff", b"'", b'"', b"{", b"[", b": ", b"\n", b"1e999", b"&a *a", b"!!")
                )
        return bytes(data)

    return damaged() | st.binary(max_size=200)


def _good_rows() -> list[dict[str, Any]]:
    return [{"person_id": str(n), "question": f"Who is {n}?", "answer": f"Name {n}."} for n in range(4)]


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(_good_rows()), sink)
    return bytes(sink.getvalue())


def _jsonl(folder: Path, rows: list[dict[str, Any]]) -> object:
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return _load(path)


def _bytes_of(name: str) -> Callable[[Path, bytes], object]:
    def read(folder: Path, data: bytes) -> object:
        (folder / name).write_bytes(data)
        return _load(folder / name)

    return read


def _load(path: Path) -> object:
    from components.contract.params import load_params
    from viker.data.preparation import load_source

    prepare = load_params(ROOT / "params.yaml").prepare
    changes = {"source": str(path), "format": "records", "requests": str(path.with_name("none")), "forget_ids": ["0"]}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        return load_source(prepare.model_copy(update=changes), 7, Path(folder), path.parent / "cache")


def _request(folder: Path, data: bytes) -> object:
    from viker.data.requests import read_requests

    requests = folder / "requests"
    requests.mkdir(exist_ok=True)
    (requests / "r1.yaml").write_bytes(data)
    return read_requests(requests)


def _policy(folder: Path, data: bytes) -> object:
    from viker.gate.policies import read_policy

    (folder / "policy.yaml").write_bytes(data)
    return read_policy(folder / "policy.yaml")


def _rule(text: str) -> object:
    from viker.gate.rules import parse_rule

    try:
        return parse_rule(text)
    except ValueError:  # pydantic makes it a UserError with the file's name
        return None


def _bundle() -> bytes:
    from viker.evidence.bundle import pack

    return pack({"metrics/evaluate.json": b"{}", "metrics/gate.json": b"{}", "report.html": b"<p>"})


def _evidence(folder: Path, data: bytes) -> object:
    from viker.evidence.bundle import unpack

    (folder / "evidence.zip").write_bytes(data)
    return unpack(folder / "evidence.zip")


def _params(folder: Path, data: bytes) -> object:
    from components.contract.params import load_params

    (folder / "params.yaml").write_bytes(data)
    return load_params(folder / "params.yaml")
