"""Settings of the data: which source and whom to forget, and the irrelevant images."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from viker.core.errors import did_you_mean
from viker.core.plugins import plugin_names
from viker.core.settings import Address, Positive, Section, Share

Kind = Literal["scene", "pet", "noise", "photo", "folder", "forget", "retain"]


class PrepareParams(Section):
    """Which data, and who is to be forgotten."""

    source: Annotated[Address, Field(min_length=1)]
    """A file or folder, s3://BUCKET/PREFIX, hf://OWNER/NAME, or a .yaml file that describes a benchmark to generate."""
    format: str
    """What the source holds: the name of a format, a module of ``viker/data/formats``; auto recognises it."""
    revision: str | None
    """Commit or tag of a source on the hub."""
    forget_share: Share
    """Picks the benchmark's own split: 0.1 means the configurations forget_10 and retain_90."""
    forget_ids: list[str]
    """People to forget, overriding the requests; empty: those of the pending requests, else the benchmark's split."""
    requests: Annotated[Address, Field(min_length=1)]
    """The folder of forget requests, one YAML file each; people of requests that are carried out are in no split."""
    on_invalid: Literal["fail", "exclude"]
    """What happens to an invalid row: it stops the stage, or is moved to excluded.parquet."""
    max_excluded: Annotated[float, Field(ge=0, lt=1)]
    """The largest share of rows that may be excluded."""
    base_set: bool = True
    """Whether a benchmark that is generated has samples about nobody, which only a model trained from scratch reads."""
    data_docs: bool = False
    """Whether Great Expectations' own pages are written besides the page on the validation."""

    @field_validator("format")
    @classmethod
    def _known_format(cls, name: str) -> str:
        known = ["auto", *plugin_names("viker.data.formats", "viker.formats")]
        if name not in known:
            hint = did_you_mean(name, known).removesuffix(".")
            raise ValueError(f"expected one of {', '.join(known)}{hint}")
        return name


class SampleParams(Section):
    """The irrelevant images."""

    kinds: Annotated[list[Kind], Field(min_length=1)]
    k: Positive
    """How many images the teacher averages over; 5 in the paper."""
    pool: Positive
    """How many images there are; each question gets k of them."""
    folder: Address | None
    """The user's own images, for the kind 'folder': a path, s3://BUCKET/PREFIX or hf://OWNER/NAME."""
    revision: str | None
    """Commit or tag of a folder on the hub."""

    @field_validator("pool")
    @classmethod
    def _enough(cls, pool: int, info: ValidationInfo) -> int:
        k = info.data.get("k", 1)
        if pool < k:
            raise ValueError(f"expected at least sample.k, which is {k}: an image is not shown twice")
        return pool

    @field_validator("folder")
    @classmethod
    def _folder_named(cls, folder: str | None, info: ValidationInfo) -> str | None:
        if not folder and "folder" in info.data.get("kinds", ()):
            raise ValueError("the kind 'folder' takes its images from there; name a folder")
        return folder
