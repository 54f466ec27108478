"""An answer of S3 that ends within its headers is asked for again, a few times, and never waited for."""

import threading
from pathlib import Path

import pytest

from viker.core.errors import UserError
from viker.storage import fetch


@pytest.mark.parametrize("sent", ["HTTP/1.1 206 Partial Content\r\nETag: x\r\n", "HTTP/1.1 200 OK\r\nServer: x\r\n"])
@pytest.mark.parametrize("times", [1, 99])
def test_headers_that_break_off_are_asked_for_again(s3, bucket, tmp_path, between, sent, times):
    s3.put_object(Bucket=bucket, Key="data/a", Body=b"whole")
    left = [times]

    def break_off(handler) -> bool:
        if handler.headers.get("Range") is None or left[0] == 0:
            return False
        left[0] -= 1
        handler.wfile.write(sent.encode())
        handler.close_connection = True
        return True

    between.misbehave = break_off
    ended: list[Path | UserError] = []
    thread = threading.Thread(target=lambda: ended.append(outcome(f"s3://{bucket}/data", tmp_path)), daemon=True)
    thread.start()
    thread.join(60)
    (end,) = ended  # nothing, if it waits for ever
    if times == 1:
        assert (end / "a").read_bytes() == b"whole"
    else:
        assert isinstance(end, UserError) and "after 5 attempts" in str(end)
        assert not list(tmp_path.rglob("files/a"))


def outcome(uri: str, cache: Path) -> Path | UserError:
    try:
        return fetch(uri, None, cache)
    except UserError as error:
        return error
