"""``s3://BUCKET/PREFIX``: listed page by page, fetched in parallel, each object checked before it takes its name.

Credentials and endpoint come from the usual AWS chain (environment, profile, role; ``AWS_ENDPOINT_URL``).
"""

import re
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from filelock import FileLock, Timeout
from tqdm import tqdm

from viker.core.errors import UserError
from viker.core.files import sha256_bytes
from viker.storage.transfer import Object, transfer

WORKERS = 16
"""Objects that are fetched at the same time."""
ATTEMPTS = 5
"""How often a request is made before it counts as failed; between two, the wait grows to 20 seconds."""
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0
"""Seconds."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_DENIED = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403")
_CREDENTIALS = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("InvalidSecurity", "NotSignedUp", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed"),
)
_CHANGED = ("NoSuchKey", "404", "PreconditionFailed", "412", "InvalidRange", "416")
_CHAIN = "the usual AWS chain: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role"
_KEPT = "What was fetched is kept: run again to go on."


def fetch_s3(uri: str, folder: Path) -> Path:
    """Fetch all objects below a prefix into ``folder/files``, or one object; return that folder or file.

    ``folder/partial`` holds what isn't whole yet. Files of objects that no longer exist are removed.

    Raises:
        UserError: see ``viker.storage.fetch``.
    """
    bucket, prefix = _parse(uri)
    with explained(uri):
        client = _client()
        objects, single = _list(client, uri, bucket, prefix)
        files, partial = folder / "files", folder / "partial"
        with _alone(uri, folder):
            _tidy(files, {files / o.name for o in objects})
            _tidy(partial, {partial / o.partial_name for o in objects})
            _transfer_all(client, uri, bucket, objects, folder)
    return files / objects[0].name if single else files


def listing(uri: str) -> str:
    """Return the hash of all keys below a prefix with their sizes and ETags.

    Raises:
        UserError: see ``viker.storage.fetch``.
    """
    bucket, prefix = _parse(uri)
    with explained(uri):
        objects, _ = _list(_client(), uri, bucket, prefix)
    return sha256_bytes("\n".join(sorted(f"{o.key}\0{o.size}\0{o.etag}" for o in objects)).encode())


def read_s3(uri: str) -> tuple[bytes, str]:
    """Return an object and its ETag.

    Raises:
        UserError: see ``viker.storage.fetch``.
    """
    bucket, key = _parse(uri)
    with explained(uri):
        answer = _client().get_object(Bucket=bucket, Key=key)
        return bytes(answer["Body"].read()), str(answer["ETag"])


def replace_s3(uri: str, content: bytes, etag: str) -> None:
    """Write an object in place of the one with that ETag.

    Raises:
        UserError: it has changed since, or see ``viker.storage.fetch``; nothing is written then.
    """
    bucket, key = _parse(uri)
    with explained(uri):
        _client().put_object(Bucket=bucket, Key=key, Body=content, IfMatch=etag)


def _client() -> Any:
    settings = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        max_pool_connections=WORKERS,
        response_checksum_validation="when_required",  # checked on the file, so that resumed ones are checked as well
    )
    return boto3.session.Session().client("s3", config=settings)


def _parse(uri: str) -> tuple[str, str]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if not _BUCKET.fullmatch(bucket):  # not repeated: someone may have put credentials there
        raise UserError(
            "the s3:// address has no valid bucket name (3 to 63 lower-case letters, digits, dots, hyphens). Expected "
            f"s3://BUCKET/PREFIX; credentials come from {_CHAIN}."
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
            f"{uri}: the key {entry['Key']!r} is no relative path of plain names ('..', '.', empty, too long, NUL and "
            "backslash are refused: they could lead out of the folder). Rename or remove the object."
        )
    return Object(entry["Key"], name, entry["Size"], entry["ETag"].strip('"'), entry["LastModified"].timestamp())


def _transfer_all(client: Any, uri: str, bucket: str, objects: list[Object], folder: Path) -> None:
    stop = Event()
    total = sum(o.size for o in objects)
    with (
        tqdm(total=total, desc=f"fetch {len(objects)} files", unit="B", unit_scale=True, unit_divisor=1024) as bar,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        futures = [pool.submit(transfer, client, bucket, o, folder, bar.update, stop, ATTEMPTS) for o in objects]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            unchecked = sum(not future.result() for future in done)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    if unchecked:
        tqdm.write(f"{uri}: {unchecked} objects carry no checksum that can be computed here; only sizes were checked.")


def _tidy(folder: Path, wanted: set[Path]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in wanted:
            path.unlink()


@contextmanager
def _alone(uri: str, folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{uri}: another run is fetching it into {folder}. Wait for it, or stop it.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what boto3 raises into a ``UserError``; never with text of the server, which may quote a request."""
    try:
        yield
    except boto.ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        raise UserError(f"{uri}: {_answer(code, status, error.operation_name)}") from None
    except (boto.NoCredentialsError, boto.PartialCredentialsError):
        raise UserError(f"{uri}: no credentials, or only a part of them. They come from {_CHAIN}.") from None
    except (boto.HTTPClientError, boto.ConnectionError) as error:
        endpoint = urlsplit(str(error.kwargs.get("endpoint_url") or ""))
        raise UserError(
            f"{uri}: no answer{f' from {endpoint.hostname}' if endpoint.hostname else ''} after {ATTEMPTS} attempts "
            f"({type(error).__name__}). Check the network and AWS_ENDPOINT_URL. {_KEPT}"
        ) from None
    except boto.BotoCoreError as error:
        raise UserError(
            f"{uri}: the settings of AWS don't do ({type(error).__name__}). Check AWS_PROFILE, AWS_REGION, "
            f"AWS_ENDPOINT_URL and the files in ~/.aws; credentials come from {_CHAIN}."
        ) from None


def _answer(code: str, status: int, operation: str) -> str:
    if code == "NoSuchBucket":
        return "there is no such bucket. Check its name, and AWS_ENDPOINT_URL if it isn't on AWS."
    if code in _DENIED:
        return f"access denied to {operation}. The credentials need s3:ListBucket and s3:GetObject on it."
    if code in _CREDENTIALS:
        return f"the credentials are refused ({code}). Renew them; they come from {_CHAIN}."
    if code in _CHANGED:
        return f"an object changed or vanished while it was fetched ({code}). {_KEPT}"
    if status >= 500 or code in ("SlowDown", "Throttling", "ThrottlingException", "RequestTimeout"):
        return (
            f"the server answers {operation} with {code} after {ATTEMPTS} attempts: it is overloaded or down. {_KEPT}"
        )
    return f"the server answers {operation} with {code}. Check the address; the storage class must allow reading."
