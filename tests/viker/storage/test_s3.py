"""What s3:// names arrives whole, once, and only in its folder; what goes wrong is said."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from tests.s3 import CREDENTIALS, answer, refuse, unavailable
from viker.core.errors import UserError
from viker.storage import fetch
from viker.storage import s3 as storage

ROOT = Path(__file__).parents[3]


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def put(s3, bucket, **objects: bytes) -> None:
    for key, body in objects.items():
        s3.put_object(Bucket=bucket, Key=f"data/{key}", Body=body)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def files(cache: Path) -> dict[str, bytes]:
    """Return what lies in the cache under its own name."""
    return {name: body for folder in cache.glob("*/files") for name, body in contents(folder).items()}


def error(uri: str, cache: Path) -> str:
    with pytest.raises(UserError) as caught:
        fetch(uri, None, cache)
    message = str(caught.value)
    assert not any(secret in message for secret in CREDENTIALS.values())
    return message


def test_a_prefix_becomes_a_folder_without_its_neighbours(s3, bucket, cache):
    put(s3, bucket, **{"a.txt": b"1", "b/c.txt": b"", "b/": b""})
    s3.put_object(Bucket=bucket, Key="data-old/x", Body=b"other")
    assert contents(fetch(f"s3://{bucket}/data", None, cache)) == {"a.txt": b"1", "b/c.txt": b""}
    assert fetch(f"s3://{bucket}/data/", None, cache) == fetch(f"s3://{bucket}/data", None, cache)


def test_an_object_becomes_a_file(s3, bucket, cache):
    put(s3, bucket, **{"rows.jsonl": b"{}", "rows.jsonl.old": b"x"})
    path = fetch(f"s3://{bucket}/data/rows.jsonl", None, cache)
    assert (path.name, path.read_bytes()) == ("rows.jsonl", b"{}")


def test_more_objects_than_one_page_lists_are_all_fetched(s3, bucket, cache):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: put(s3, bucket, **{f"{i:04d}": b"x"}), range(1001)))
    assert len(contents(fetch(f"s3://{bucket}/data", None, cache))) == 1001


def test_what_is_there_is_not_fetched_again(s3, bucket, cache, between):
    put(s3, bucket, a=b"1" * 1000, b=b"2" * 1000, gone=b"3")
    folder = fetch(f"s3://{bucket}/data", None, cache)
    between.gets.clear()
    put(s3, bucket, b=b"4" * 1000)
    (folder / "a").write_bytes(b"5" * 1000)  # same size, damaged
    s3.delete_object(Bucket=bucket, Key="data/gone")
    fetch(f"s3://{bucket}/data", None, cache)
    assert contents(folder) == {"a": b"1" * 1000, "b": b"4" * 1000}
    assert sorted(path.rpartition("/")[2] for path, _ in between.gets) == ["a", "b"]
    between.gets.clear()
    fetch(f"s3://{bucket}/data", None, cache)
    assert between.gets == []


def test_after_a_killed_download_only_what_was_not_complete_is_fetched(s3, bucket, cache, between):
    whole, big = b"w" * 1000, os.urandom(1 << 22)
    put(s3, bucket, whole=whole, big=big)
    arrived, half_sent = threading.Event(), threading.Event()

    def stall(handler) -> bool:
        """Send half of the big object and then nothing more."""
        if handler.command == "GET" and handler.path.startswith(f"/{bucket}/data/big"):
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(big)))
            handler.end_headers()
            handler.wfile.write(big[: 1 << 21])
            handler.wfile.flush()
            half_sent.set()
            arrived.wait(20)
            return True
        return False

    between.misbehave = stall
    code = "import sys; from pathlib import Path; from viker.storage import fetch; "
    code += "fetch(sys.argv[1], None, Path(sys.argv[2]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, f"s3://{bucket}/data", str(cache)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    deadline = time.time() + 30
    while time.time() < deadline and not (half_sent.is_set() and files(cache)):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    arrived.set()
    assert half_sent.is_set() and files(cache) == {"whole": whole}

    between.misbehave = lambda handler: False
    between.gets.clear()
    assert contents(fetch(f"s3://{bucket}/data", None, cache)) == {"whole": whole, "big": big}
    assert {path.rpartition("/")[2] for path, _ in between.gets} == {"big"}
    assert list(cache.glob("*/partial/*")) == []


def test_of_an_object_that_breaks_off_only_that_part_is_asked_for_again_in_the_same_run(s3, bucket, cache, between):
    body = os.urandom(20 << 20)
    put(s3, bucket, a=body)
    broken = iter([True])

    def cut(handler) -> bool:
        """Send the beginning of the second part, once."""
        start, end = 8 << 20, (16 << 20) - 1
        if handler.headers.get("Range") == f"bytes={start}-{end}" and next(broken, False):
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{end}/{len(body)}")
            handler.send_header("Content-Length", str(end + 1 - start))
            handler.end_headers()
            handler.wfile.write(body[start : start + 1000])
            handler.close_connection = True
            return True
        return False

    between.misbehave = cut
    assert contents(fetch(f"s3://{bucket}/data", None, cache)) == {"a": body}
    ranges = Counter(requested for _, requested in between.gets)
    assert ranges == {"bytes=0-8388607": 1, "bytes=8388608-16777215": 2, "bytes=16777216-": 1}


def test_an_object_that_changes_between_two_parts_is_never_a_mixture(s3, bucket, cache, between):
    old, new = os.urandom(10 << 20), os.urandom(10 << 20)
    put(s3, bucket, a=old)

    def replace(handler) -> bool:
        if handler.command == "GET" and (handler.headers.get("Range") or "").startswith("bytes=8388608"):
            put(s3, bucket, a=new)
        return False

    between.misbehave = replace
    assert "an object changed or vanished" in error(f"s3://{bucket}/data", cache)
    assert files(cache) == {}
    between.misbehave = lambda handler: False
    assert contents(fetch(f"s3://{bucket}/data", None, cache)) == {"a": new}


@pytest.mark.parametrize("uploaded", [{}, {"ChecksumAlgorithm": "SHA256"}, {"ChecksumAlgorithm": "SHA1"}])
def test_a_wrong_checksum_is_caught(s3, bucket, cache, between, uploaded):
    s3.put_object(Bucket=bucket, Key="data/a", Body=b"right", **uploaded)
    between.change = lambda path, body: b"wrong" if body == b"right" else body
    message = error(f"s3://{bucket}/data", cache)
    kind = uploaded.get("ChecksumAlgorithm", "CRC32|MD5")
    assert re.search(rf"data/a: wrong checksum: expected ({kind}) \S+, got ({kind}) \S+\. .*run again", message)
    assert files(cache) == {} and list(cache.glob("*/partial/*")) == []
    between.change = lambda path, body: body
    assert contents(fetch(f"s3://{bucket}/data", None, cache)) == {"a": b"right"}


def test_an_object_uploaded_in_parts_is_checked_by_its_parts(s3, bucket, cache, between):
    body = os.urandom(6 << 20)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="data/a")["UploadId"]
    multipart = {"Bucket": bucket, "Key": "data/a", "UploadId": upload}
    pieces = [body[: 5 << 20], body[5 << 20 :]]
    etags = [s3.upload_part(**multipart, PartNumber=n, Body=piece)["ETag"] for n, piece in enumerate(pieces, 1)]
    parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    etag = s3.complete_multipart_upload(**multipart, MultipartUpload={"Parts": parts})["ETag"].strip('"')
    digests = b"".join(hashlib.md5(piece).digest() for piece in pieces)
    assert etag == f"{hashlib.md5(digests).hexdigest()}-2"
    between.change = lambda path, found: bytes([found[0] ^ 1]) + found[1:] if found == body else found
    assert f"wrong checksum: expected ETag {etag}" in error(f"s3://{bucket}/data", cache)
    between.change = lambda path, found: found
    assert contents(fetch(f"s3://{bucket}/data", None, cache)) == {"a": body}


def test_503_is_retried(s3, bucket, cache, between):
    put(s3, bucket, a=b"1")
    failures = iter([True, True])
    between.misbehave = lambda handler: next(failures, False) and unavailable(handler)
    assert contents(fetch(f"s3://{bucket}/data", None, cache)) == {"a": b"1"}
    assert between.requests == 4  # two that failed, the list, the object


def test_503_without_end_fails_with_what_to_do(bucket, cache, between, monkeypatch):
    monkeypatch.setattr(storage, "ATTEMPTS", 2)
    between.misbehave = unavailable
    message = error(f"s3://{bucket}/data", cache)
    assert between.requests == 2
    assert "SlowDown after 2 attempts" in message and "run again" in message
    assert not cache.exists()


def test_a_timeout_is_retried_and_then_fails_with_what_to_do(bucket, cache, between, monkeypatch):
    monkeypatch.setattr(storage, "ATTEMPTS", 2)
    monkeypatch.setattr(storage, "READ_TIMEOUT", 0.2)
    between.misbehave = lambda handler: time.sleep(0.6) or True
    message = error(f"s3://{bucket}/data", cache)
    assert between.requests == 2
    assert "no answer from 127.0.0.1 after 2 attempts (ReadTimeoutError)" in message and "AWS_ENDPOINT_URL" in message


def test_a_server_that_is_not_there_is_named_without_what_its_address_hides(aws, cache, monkeypatch):
    monkeypatch.setattr(storage, "ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://someone:hunter2@127.0.0.1:9")
    message = error("s3://bucket/data", cache)
    assert "no answer from 127.0.0.1" in message and "hunter2" not in message


def test_a_missing_bucket_reads_as_such(aws, cache):
    assert "no such bucket" in error("s3://nothing-here/data", cache)
    assert not cache.exists()


@pytest.mark.parametrize("at", ["list", "object"])
def test_denied_access_reads_as_such(s3, bucket, cache, between, at):
    put(s3, bucket, a=b"1")
    between.misbehave = lambda handler: (
        (("list-type" in handler.path) == (at == "list")) and refuse(handler, 403, "AccessDenied")
    )
    message = error(f"s3://{bucket}/data", cache)
    assert "access denied" in message and "s3:GetObject" in message
    assert files(cache) == {}


def test_refused_credentials_read_as_such(bucket, cache, between):
    between.misbehave = lambda handler: refuse(handler, 403, "InvalidAccessKeyId")
    assert "credentials are refused (InvalidAccessKeyId)" in error(f"s3://{bucket}/data", cache)


def test_no_credentials_reads_as_such(bucket, cache, monkeypatch):
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    assert "no credentials" in error(f"s3://{bucket}/data", cache)


def test_an_unknown_profile_reads_as_such(bucket, cache, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "AWS_PROFILE" in error(f"s3://{bucket}/data", cache)


def test_an_empty_prefix_reads_as_such(bucket, cache):
    assert "nothing below this prefix" in error(f"s3://{bucket}/data", cache)
    assert not cache.exists()


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/x", "a//x", "./x", "a\\..\\x", "x" * 300])
def test_a_key_that_could_lead_out_of_the_folder_is_refused(bucket, cache, between, tmp_path, key):
    """Whatever a server lists: moto itself would not take all of these."""
    listed = f"<Key>data/{key}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>x</ETag><Size>1</Size>"
    body = f"<ListBucketResult><Contents>{listed}</Contents></ListBucketResult>"
    between.misbehave = lambda handler: answer(handler, 200, body)
    message = error(f"s3://{bucket}/data", cache)
    assert "not a relative path" in message and "Rename or remove" in message
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_file_and_folder_is_refused(s3, bucket, cache):
    put(s3, bucket, **{"a": b"1", "a/b": b"2"})
    assert "'data/a' is an object and has others below it" in error(f"s3://{bucket}/data", cache)


def test_two_runs_do_not_fetch_into_the_same_folder(s3, bucket, cache):
    put(s3, bucket, a=b"1")
    folder = fetch(f"s3://{bucket}/data", None, cache)
    with FileLock(folder.parent / "lock"):
        assert "another run is fetching" in error(f"s3://{bucket}/data", cache)


def test_credentials_in_the_address_are_refused_and_not_repeated(aws, cache):
    message = error("s3://unit-test-id:unit-test-secret@bucket/data", cache)
    assert "has credentials in it" in message and "unit-test-secret" not in message
