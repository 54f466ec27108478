"""Whether an image resembles any picture of the data: by hash, difference hash and colours."""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from viker.core.files import sha256_bytes
from viker.data.pictures.cache import FingerprintCache
from viker.data.pictures.checks import NEAR_BITS, NEAR_TONE, fingerprint
from viker.data.records import SPLITS, iter_pictures, read_records

ALIKE_TONE = 4.0
"""Images whose colours differ by less than this on average, of 255, are alike whatever their hashes say."""
ROWS = 4096
"""How many pictures an image is compared with at a time: 3 MiB of colours."""


class DataPictures:
    """Fingerprints of the pictures of the forget, test, retain and real splits, 840 bytes each."""

    def __init__(self, prepared: Path, known: Path | None = None) -> None:
        """Read the pictures of a prepared folder, a few at a time; ``known``: the folder of a ``FingerprintCache``."""
        fingerprints = FingerprintCache(known)
        self.splits: dict[str, str] = {}
        for split in SPLITS:
            for record in read_records(prepared, split):
                self.splits |= {key: split for key in record.images if key not in self.splits}
        self.keys: list[str] = []
        bits, tones = [], []
        bar = tqdm(iter_pictures(prepared), desc="pictures of the data", unit="picture", leave=False, delay=2)
        for key, content in bar:
            look = fingerprints.fingerprint(content)
            self.keys.append(key)
            bits.append(look.bits)
            tones.append(np.frombuffer(look.tones, dtype=np.uint8))
        self._rows = {key: row for row, key in enumerate(self.keys)}
        self._bits = np.array(bits, dtype=np.uint64)
        self._tones = np.array(tones, dtype=np.uint8).reshape(len(tones), -1)

    def compare(self, content: bytes, original: str) -> tuple[str | None, dict[str, Any] | None]:
        """Return why an encoded image is refused, or None, and the picture of the data nearest to it.

        ``original``: the SHA-256 of the file that the image comes from. The nearest is the picture that it is refused
        for, else the one with the least difference of colours: ``picture`` (SHA-256), ``split``, ``bits`` (difference
        hashes, of 64) and ``tone`` (mean difference of colours, of 255). None where the data has no pictures.

        Raises BadPicture: the image can't be decoded.
        """
        if not self.keys:
            return None, None
        look = fingerprint(content)
        bits = np.bitwise_count(self._bits ^ np.uint64(look.bits))
        tones = np.frombuffer(look.tones, dtype=np.uint8)
        parts = (self._tones[start : start + ROWS] for start in range(0, len(self._tones), ROWS))
        sums = [(np.maximum(part, tones) - np.minimum(part, tones)).sum(1, dtype=np.uint32) for part in parts]
        tone = np.concatenate(sums) / len(tones)
        same = self._rows.get(original, self._rows.get(sha256_bytes(content)))
        if same is not None:
            return "the same as a picture of the data", self._evidence(same, bits, tone)
        near = np.flatnonzero((tone < ALIKE_TONE) | ((bits <= NEAR_BITS) & (tone < NEAR_TONE)))
        if len(near):
            return "looks like a picture of the data", self._evidence(near[tone[near].argmin()], bits, tone)
        return None, self._evidence(tone.argmin(), bits, tone)

    def _evidence(self, row: int | np.intp, bits: np.ndarray, tone: np.ndarray) -> dict[str, Any]:
        key = self.keys[int(row)]
        split = self.splits.get(key, "none")
        return {"picture": key, "split": split, "bits": int(bits[row]), "tone": round(float(tone[row]), 3)}
