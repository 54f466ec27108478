"""Checks a file against its S3 object: by the ETag where that is an MD5, or by the object's checksum."""

import base64
import hashlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 1 << 20
_CHECKSUMS = ("ChecksumSHA256", "ChecksumSHA1", "ChecksumCRC32")
"""Those that the standard library computes, the strongest first."""


class WrongChecksum(Exception):
    """A file differs from its object: the message says what was expected and found."""


def check(client: Any, bucket: str, key: str, etag: str, size: int, path: Path) -> bool:
    """Return True where ``path`` has the checksum of the object, False where it has none that can be computed.

    The ETag is the MD5 of the content for what was uploaded in one piece, and for parts the MD5 of their MD5s, except
    where S3 encrypts with KMS or the customer's key. It costs no request; the object's own checksum costs one.

    Raises WrongChecksum: size or checksum differ.
    """
    _compare("size", size, path.stat().st_size)
    if re.fullmatch(r"[0-9a-f]{32}", etag) and md5_of(path) == etag:
        return True
    head = client.head_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"', ChecksumMode="ENABLED")
    for field in _CHECKSUMS:
        expected = head.get(field, "")
        if expected and "-" not in expected:  # "-N": of N parts, not of the whole
            return _compare(field.removeprefix("Checksum"), expected, _checksum(field, path))
    if head.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in head:
        return False
    if re.fullmatch(r"[0-9a-f]{32}", etag):
        return _compare("MD5", etag, md5_of(path))
    if re.fullmatch(r"[0-9a-f]{32}-\d+", etag):
        part = client.head_object(Bucket=bucket, Key=key, PartNumber=1)["ContentLength"]
        if part and -(-size // part) == int(etag.partition("-")[2]):  # else the parts differ in size
            return _compare("ETag", etag, _etag_of_parts(path, part))
    return False


def _compare(kind: str, expected: object, got: object) -> bool:
    if got != expected:
        raise WrongChecksum(f"expected {kind} {expected}, got {kind} {got}")
    return True


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _checksum(field: str, path: Path) -> str:
    if field == "ChecksumCRC32":
        value = 0
        for block in _blocks(path, BLOCK):
            value = zlib.crc32(block, value)
        return base64.b64encode(value.to_bytes(4, "big")).decode()
    with path.open("rb") as stream:
        return base64.b64encode(hashlib.file_digest(stream, field.removeprefix("Checksum").lower()).digest()).decode()


def _etag_of_parts(path: Path, part: int) -> str:
    parts = [hashlib.md5(block, usedforsecurity=False).digest() for block in _blocks(path, part)]
    return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(size):
            yield block
