"""What an object store has of people, such as what the tasks of Kubeflow's runs wrote: found and taken out.

``s3://BUCKET/PREFIX`` is reached as other data are. ``minio://BUCKET/PREFIX``, Kubeflow's own store, is at
VIKER_ROOT_ENDPOINT, with the keys ``accesskey`` and ``secretkey`` of its secret.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from components.privacy.removal import treat
from components.privacy.search import Finder
from components.privacy.server import WEIGHTS, Found, on_server
from viker.storage import is_remote

UNVERSIONED = "null"
"""The version of an object in a bucket that keeps no versions."""
_RUN = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def pipeline_root(uri: str) -> str | None:
    """Return the prefix of all runs of the pipeline, from the address of an artifact; None: it can't be reached.

    Kubeflow writes to ROOT/PIPELINE/RUN/TASK/…; a cached artifact is another run's (kubeflow/pipelines 2.17.0,
    backend/src/v2/metadata/client.go, GenerateOutputURI).
    """
    from viker.storage.s3 import can_reach

    found = re.match(rf"(.+://.+/viker)/{_RUN}/", uri.partition("?")[0])
    return found[1] if found and can_reach(found[1]) else None


def away(finder: Finder, also: Iterable[str]) -> Iterator[Found]:
    """Yield the traces on an MLflow server, and in the objects below the addresses among ``also``, older versions too.

    Raises UserError: a server doesn't answer, or refuses.
    """
    yield from on_server(finder)
    for address in filter(is_remote, also):
        yield from _in_objects(address, finder)


def _in_objects(address: str, finder: Finder) -> Iterator[Found]:
    from viker.storage.s3 import opened

    with opened(address) as (client, bucket, prefix):
        pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        for one in [one for page in pages for one in page.get("Versions", ())]:
            which = {"Bucket": bucket, "Key": one["Key"], "VersionId": one["VersionId"]}
            if one["Key"].endswith(WEIGHTS):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                found = finder.in_file(_downloaded(client, which, scratch))
            if found or finder.in_value(one["Key"]):
                version = "" if one["VersionId"] == UNVERSIONED else f", version {one['VersionId']}"
                take_out = partial(_take_out, address, which, bool(one["IsLatest"]), finder)
                yield f"object {bucket}/{one['Key']}{version}", take_out


def _downloaded(client: Any, which: dict[str, str], folder: str) -> Path:
    file = Path(folder) / Path(which["Key"]).name
    with file.open("wb") as stream:
        for part in client.get_object(**which)["Body"].iter_chunks(1 << 20):
            stream.write(part)
    return file


def _take_out(address: str, which: dict[str, str], is_latest: bool, finder: Finder) -> str:
    """Put an object without the trace in its place, where that can be done; the version with it is deleted."""
    from viker.storage.s3 import opened

    how = "removed"
    with opened(address) as (client, _, _), tempfile.TemporaryDirectory() as scratch:
        if is_latest and not finder.in_value(which["Key"]):
            file = _downloaded(client, which, scratch)
            how = treat(file, finder, whole=False)
            if how == "rewritten":
                place = {"Bucket": which["Bucket"], "Key": which["Key"]}
                client.upload_file(str(file), *place.values())
                if client.head_object(**place).get("VersionId", UNVERSIONED) == which["VersionId"]:
                    return how  # it was overwritten
        client.delete_object(**which)
    return how
