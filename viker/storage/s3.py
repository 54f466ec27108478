"""``s3://BUCKET/PREFIX``: listed page by page, fetched in parallel, each object checked before it takes its name.

boto3's transfer manager fetches: large objects in parts, and a part that breaks off is asked for again. Ours is what no
library does: tell which files are up to date, check objects that were uploaded in parts or without a checksum, refuse
keys that lead out of the folder.

Credentials and endpoint come from the usual AWS chain (environment, profile, role; ``AWS_ENDPOINT_URL``).
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import RetriesExceededError
from boto3.s3.transfer import S3Transfer, TransferConfig
from botocore import exceptions as boto
from botocore.config import Config
from filelock import FileLock, Timeout
from s3transfer.exceptions import S3DownloadFailedError  # type: ignore[import-untyped]  # has no types
from tqdm import tqdm

from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.core.redact import without_secrets
from viker.storage.checksums import WrongChecksum, check

WORKERS = 16
"""Requests for objects, or parts of them, that are made at the same time."""
ATTEMPTS = 5
"""How often a request is made before it counts as failed; between two, the wait grows to 20 seconds."""
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0
"""Seconds."""
ENDPOINT = "VIKER_ROOT_ENDPOINT"
"""Names the address of the store that Kubeflow calls ``minio://``."""
CHAIN = "the usual AWS chain: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role"
_DENIED = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403")
_CREDENTIALS = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("InvalidSecurity", "NotSignedUp", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed"),
)
_CHANGED = ("NoSuchKey", "404", "PreconditionFailed", "412", "InvalidRange", "416")
_KEPT = "Files that are complete are kept: run again to fetch the rest."
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Object:
    """An object as it was listed."""

    key: str
    name: str
    """Its path below the prefix."""
    size: int
    """Bytes."""
    etag: str
    modified: float
    """Seconds since 1970."""


def fetch_s3(uri: str, folder: Path) -> Path:
    """Fetch all objects below a prefix into ``folder/files``, or one object; return that folder or file.

    ``folder/partial`` holds what isn't checked yet. Files of objects that no longer exist are removed. This and the
    other functions raise a ``UserError`` as ``viker.storage.fetch`` does.
    """
    bucket, prefix = _parse(uri)
    with _explained(uri):
        client = _client()
        objects, single = _list(client, uri, bucket, prefix)
        files = folder / "files"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(folder / "lock", timeout=0).acquire()
        except Timeout:
            raise UserError(f"{uri}: another run is fetching it into {folder}. Wait for it, or stop it.") from None
        with lock:
            shutil.rmtree(folder / "partial", ignore_errors=True)
            _remove_others(files, {files / o.name for o in objects})
            _fetch_all(client, uri, bucket, objects, folder)
    return files / objects[0].name if single else files


def listing(uri: str) -> str:
    """Return the hash of all keys below a prefix with their sizes and ETags."""
    bucket, prefix = _parse(uri)
    with _explained(uri):
        objects, _ = _list(_client(), uri, bucket, prefix)
    return sha256_bytes("\n".join(sorted(f"{o.key}\0{o.size}\0{o.etag}" for o in objects)).encode())


def read_s3(uri: str) -> tuple[bytes, str]:
    """Return an object and its ETag."""
    bucket, key = _parse(uri)
    with _explained(uri):
        answer = _client().get_object(Bucket=bucket, Key=key)
        return bytes(answer["Body"].read()), str(answer["ETag"])


def replace_s3(uri: str, content: bytes, etag: str) -> None:
    """Write an object in place of the one with that ETag; if it has changed since, raise a ``UserError``."""
    bucket, key = _parse(uri)
    with _explained(uri):
        _client().put_object(Bucket=bucket, Key=key, Body=content, IfMatch=etag)


def can_reach(uri: str) -> bool:
    """Return whether ``opened`` knows where a store is: any of ``s3://``, and ``minio://`` where ENDPOINT is set."""
    return uri.startswith("s3://") or (uri.startswith("minio://") and bool(os.environ.get(ENDPOINT)))


@contextmanager
def opened(uri: str) -> Iterator[tuple[Any, str, str]]:
    """Yield client, bucket and prefix of an address that ``can_reach``; what goes wrong is a ``UserError``."""
    bucket, prefix = _parse(uri)
    names = ("accesskey", "secretkey")  # as Kubeflow's secret calls them
    own = [os.environ.get(name) for name in names] if uri.startswith("minio://") else [None, None]
    endpoint = os.environ.get(ENDPOINT) if uri.startswith("minio://") else None
    with _explained(uri):
        yield _client(endpoint_url=endpoint, aws_access_key_id=own[0], aws_secret_access_key=own[1]), bucket, prefix


def _client(**where: str | None) -> Any:
    settings = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        max_pool_connections=WORKERS,
        response_checksum_validation="when_required",  # checked on the file, where those that are there are checked too
    )
    client = boto3.session.Session().client("s3", config=settings, **where)
    client.meta.events.register("before-parse.s3", _refuse_broken_headers)
    return client


def _refuse_broken_headers(response_dict: dict[str, Any], **_: Any) -> None:
    """Raise what s3transfer asks again after, where the connection ended within the headers of an answer.

    http.client takes what has come for all headers. Without a length, an empty body would pass for the object, and
    s3transfer's future of a download would never end (s3transfer 0.19.3, GetObjectFirstChunkOnDoneCallback).
    """
    status, headers = response_dict["status_code"], response_dict["headers"]
    wanted = {200: ("content-length", "transfer-encoding"), 206: ("content-range",)}.get(status, ())
    if wanted and not any(name in headers for name in wanted):
        raise boto.ResponseStreamingError(error="it ended within the headers")


def _parse(uri: str) -> tuple[str, str]:
    bucket, _, prefix = uri.partition("://")[2].partition("/")
    if not _BUCKET.fullmatch(bucket):  # not repeated: someone may have put credentials there
        raise UserError(
            "the s3:// address has no valid bucket name (3 to 63 lower-case letters, digits, dots, hyphens). Expected "
            f"s3://BUCKET/PREFIX; credentials come from {CHAIN}."
        )
    return bucket, prefix.rstrip("/")


def _list(client: Any, uri: str, bucket: str, prefix: str) -> tuple[list[Object], bool]:
    """Return the objects below ``prefix``, or the one that has it for a key, and whether it is that one."""
    base = f"{prefix}/" if prefix else ""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=base)
    entries = [entry for page in pages for entry in page.get("Contents", []) if not entry["Key"].endswith("/")]
    if not entries and prefix:  # the first key with a prefix is the prefix itself, if there is one
        first = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents", [])
        if [entry["Key"] for entry in first] == [prefix]:
            return [_object(uri, first[0], prefix.rpartition("/")[2])], True
    if not entries:
        raise UserError(f"{uri}: nothing below this prefix. Check it, or copy the data there first.")
    objects = [_object(uri, entry, entry["Key"].removeprefix(base)) for entry in entries]
    folders = {folder for o in objects for folder in Path(o.name).parents}
    for o in objects:
        if Path(o.name) in folders:
            raise UserError(
                f"{uri}: '{o.key}' is an object and has others below it, which no folder can hold. Rename it."
            )
    return objects, False


def _object(uri: str, entry: dict[str, Any], name: str) -> Object:
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part or "\\" in part or len(part.encode()) > 255 for part in parts):
        raise UserError(
            f"{uri}: the key {entry['Key']!r} is not a relative path of plain names ('..', '.', empty, too long, NUL "
            "and backslash are refused: they could lead out of the folder). Rename or remove the object."
        )
    return Object(entry["Key"], name, entry["Size"], entry["ETag"].strip('"'), entry["LastModified"].timestamp())


def _fetch_all(client: Any, uri: str, bucket: str, objects: list[Object], folder: Path) -> None:
    size, config = sum(o.size for o in objects), TransferConfig(max_concurrency=WORKERS, num_download_attempts=ATTEMPTS)
    with (
        tqdm(total=size, desc=f"fetch {len(objects)} files", unit="B", unit_scale=True, unit_divisor=1024) as bar,
        ThreadPoolExecutor(WORKERS) as pool,
        S3Transfer(client, config) as transfer,
    ):
        futures = [pool.submit(_fetch_object, client, transfer, bucket, o, folder, bar.update) for o in objects]
        try:
            unchecked = sum(not future.result() for future in as_completed(futures))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if unchecked:
        tqdm.write(f"{uri}: {unchecked} objects have no checksum that can be computed here; only sizes were checked.")


def _fetch_object(
    client: Any, transfer: S3Transfer, bucket: str, item: Object, folder: Path, progress: Callable[[int], Any]
) -> bool:
    """Bring ``folder/files/NAME`` up to date; return whether there was a checksum to check it by."""
    target, partial = folder / "files" / item.name, folder / "partial" / sha256_bytes(item.key.encode())
    if target.exists():
        try:
            checked = check(client, bucket, item.key, item.etag, item.size, target)
            if checked or target.stat().st_mtime == item.modified:
                progress(item.size)
                return checked
        except WrongChecksum:
            pass  # an older version of the object, or damaged here
    partial.parent.mkdir(parents=True, exist_ok=True)
    transfer.download_file(bucket, item.key, str(partial), callback=progress)
    try:
        checked = check(client, bucket, item.key, item.etag, item.size, partial)
    except WrongChecksum as wrong:
        partial.unlink()
        raise UserError(
            f"s3://{bucket}/{item.key}: wrong checksum: {wrong}. The download was removed: run again to fetch it. "
            "If it happens again, the object is damaged: upload it again."
        ) from None
    os.utime(partial, (item.modified, item.modified))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    return checked


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in wanted:
            path.unlink()


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what boto3 raises into a ``UserError``; never with text of the server, which may quote a request."""
    try:
        yield
    except boto.ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        raise UserError(f"{uri}: {_answer(code, status, error.operation_name)}") from None
    except (boto.NoCredentialsError, boto.PartialCredentialsError):
        raise UserError(f"{uri}: no credentials, or only a part of them. They come from {CHAIN}.") from None
    except S3DownloadFailedError:  # its ETag changed between two parts
        raise UserError(f"{uri}: {_answer('PreconditionFailed', 412, 'GetObject')}") from None
    except (boto.HTTPClientError, boto.ConnectionError, RetriesExceededError) as error:
        if isinstance(error, RetriesExceededError):
            error = error.last_exception
        endpoint = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url") or ""))
        raise UserError(
            f"{uri}: no answer{f' from {endpoint.hostname}' if endpoint.hostname else ''} after {ATTEMPTS} attempts "
            f"({type(error).__name__}). Check the network and AWS_ENDPOINT_URL. {_KEPT}"
        ) from None
    except boto.BotoCoreError as error:
        raise UserError(
            f"{uri}: boto3 gave up before it asked the server ({_said(error)}). Possible causes: a setting in "
            "AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL or the files in ~/.aws; the name of the bucket or object; "
            f"credentials, which come from {CHAIN}."
        ) from None


def _said(error: Exception) -> str:
    """Return the kind of an error and the beginning of what it says, without secrets."""
    return without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))[:200]


def _answer(code: str, status: int, operation: str) -> str:
    if code == "NoSuchBucket":
        return "there is no such bucket. Check its name, and AWS_ENDPOINT_URL if it isn't on AWS."
    if code in _DENIED and operation in ("ListObjectVersions", "PutObject", "DeleteObject"):
        return f"access denied to {operation}. A purge lists, reads, writes and deletes objects and versions."
    if code in _DENIED:
        return f"access denied to {operation}. The credentials need s3:ListBucket and s3:GetObject on it."
    if code in _CREDENTIALS:
        return f"the credentials are refused ({code}). Renew them; they come from {CHAIN}."
    if code in _CHANGED:
        return f"an object changed or vanished while it was fetched ({code}). {_KEPT}"
    if status >= 500 or code in ("SlowDown", "Throttling", "ThrottlingException", "RequestTimeout"):
        return (
            f"the server answers {operation} with {code} after {ATTEMPTS} attempts: it is overloaded or down. {_KEPT}"
        )
    return f"the server answers {operation} with {code}. Check the address; the storage class must allow reading."
