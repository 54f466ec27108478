"""How far the vanilla model relies on pictures: from the last metrics, or measured where the model is small."""

from collections.abc import Iterator
from pathlib import Path

from viker.core.files import read_json, sha256_path
from viker.evidence.seal import check_seal

SMALL, ASKED = 2**30, 50
"""Bytes of a model that is loaded to measure it, and how many questions it is asked."""


def reliance_of(name: str, where: str, vanilla: Path, prepared: Path, metrics: Path) -> tuple[dict[str, float], str]:
    """Return ``visual_reliance`` and where it comes from; {} and why it isn't known.

    ``metrics`` count where they are unedited and about the model in ``vanilla`` and the data in ``prepared``.
    """
    if not (prepared / "manifest.json").is_file():
        return {}, f"{prepared} isn't there yet: 'viker prepare' makes it"
    if vanilla.is_dir() and metrics.is_file():
        measured = read_json(metrics, "evaluate")
        inputs, told = measured.get("inputs") or {}, (measured.get("vanilla") or {}).get("visual_reliance")
        hashes = {"model": sha256_path(vanilla), "data": sha256_path(prepared / "manifest.json")}
        if told and "values" in told and check_seal(measured) and hashes.items() <= inputs.items():
            return told, f"as in {metrics}"
    size = sum(file.stat().st_size for file in Path(name).glob("*.safetensors"))
    if not 0 < size <= SMALL:
        large = f"{size / 2**30:.1f} GiB" if size else "not a folder on this disk"
        return {}, f"{name} is {large}, so it isn't loaded here: 'viker evaluate' measures it"
    told = _measured(name, where, prepared)
    return told, f"measured on at most {ASKED} questions" if told else "no answer about a picture has a private value"


def in_words(told: dict[str, float], how: str) -> Iterator[str]:
    """Yield the shares, and what to do where the model relies on pictures too little."""
    from viker.teacher.visual_reliance import LOW, described

    yield f"{described(told)} ({how})"
    if told["reliance"] < LOW:
        yield "the model answers from the text: for a teacher that doesn't know it see docs/methods.md"


def _measured(name: str, where: str, prepared: Path) -> dict[str, float]:
    from viker.data.records import read_pictures
    from viker.models.encoder import Encoder
    from viker.models.loading import device, load_model
    from viker.teacher.heat_map import irrelevant_images
    from viker.teacher.visual_reliance import reliance_on_pictures

    model, processor = load_model(name, where)
    scenes = irrelevant_images(None)
    encoder = Encoder(processor, read_pictures(prepared) | scenes, device())
    return reliance_on_pictures(model.eval(), encoder, prepared, next(iter(scenes)), ASKED)
