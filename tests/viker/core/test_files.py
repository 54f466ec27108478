"""Files appear whole or not at all."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from viker.core.errors import UserError
from viker.core.files import create_file, new_file, new_folder, read_json, sha256_path, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), new_file(tmp_path / "a") as path:
        path.write_text("half")
        raise RuntimeError
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "old"}


def test_a_failed_write_leaves_the_old_folder_and_nothing_else(tmp_path):
    with new_folder(tmp_path / "f") as folder:
        (folder / "x").write_text("old")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "f") as folder:
        (folder / "x").write_text("half")
        raise RuntimeError
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["f", "f/x"]
    assert (tmp_path / "f/x").read_text() == "old"


def test_a_new_folder_replaces_the_old_one_whole(tmp_path):
    for name in ("one", "two"):
        with new_folder(tmp_path / "f") as folder:
            (folder / name).write_text(name)
    assert [p.name for p in (tmp_path / "f").iterdir()] == ["two"]


def test_a_new_folders_files_have_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with new_folder(tmp_path / "f") as folder:
            (folder / "below").mkdir()
            save_file({"w": np.zeros(3)}, folder / "below" / "w.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "f/below/w.safetensors").stat().st_mode & 0o777 == 0o640


def test_a_folders_hash_follows_names_and_contents(tmp_path):
    def hashed(files: dict[str, str]) -> str:
        with new_folder(tmp_path / "f") as folder:
            for name, text in files.items():
                (folder / name).write_text(text)
        return sha256_path(tmp_path / "f")

    same = hashed({"a": "1", "b": "2"})
    assert same == hashed({"b": "2", "a": "1"})
    assert len({same, hashed({"a": "2", "b": "1"}), hashed({"a": "1", "c": "2"}), hashed({"a": "12"})}) == 4


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "m.json", {"b": [float("nan"), 1.5], "a": float("inf")})
    assert read_json(tmp_path / "m.json", "evaluate") == {"a": None, "b": [None, 1.5]}


@pytest.mark.parametrize("content", ["[]", "null", "7", '"text"', "[" * 9000, '{"a": {}}'])
def test_json_of_another_shape_names_the_stage_that_writes_it(tmp_path, content):
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(UserError, match=r"m\.json: .*run 'viker evaluate' again|m\.json: not JSON.*viker evaluate"):
        read_json(tmp_path / "m.json", "evaluate")["a"]["b"]


def test_a_file_is_created_whole_and_never_over_another(tmp_path):
    create_file(tmp_path / "new/a", "one")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "new/a", "two")
    assert {p.name: p.read_text() for p in (tmp_path / "new").iterdir()} == {"a": "one"}


def test_a_file_is_created_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    test_a_file_is_created_whole_and_never_over_another(tmp_path)


@pytest.mark.parametrize("content", [None, "{", b"\xff"])
def test_json_that_cannot_be_read_names_the_stage_that_writes_it(tmp_path, content):
    if content is not None:
        (tmp_path / "m.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"m\.json.*viker evaluate"):
        read_json(tmp_path / "m.json", "evaluate")
