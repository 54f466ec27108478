"""The files of one adapter, evaluated and judged by the stages themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.common.params import Params
from components.evaluate.run import run as evaluate
from components.gate.run import run as judge


@dataclass(frozen=True)
class Tree:
    """Where what the stages read lies; what evaluate and gate write goes to ``out``."""

    params: Params
    prepared: Path
    irrelevant: Path
    vanilla: Path
    adapter: Path
    out: Path

    @property
    def predictions(self) -> Path:
        """Every reply."""
        return self.out / "predictions.parquet"

    @property
    def attacks(self) -> Path:
        """Every reply under attack."""
        return self.out / "attacks.parquet"

    @property
    def metrics(self) -> Path:
        """What evaluate measured."""
        return self.out / "evaluate.json"

    def evaluate(self) -> "Tree":
        """Question and attack the adapter, unless that was done before."""
        if not self.metrics.exists():
            evaluate(
                self.params.evaluate,
                self.params.seed,
                self.params.threads,
                self.prepared,
                self.vanilla,
                self.adapter,
                self.irrelevant,
                self.predictions,
                self.attacks,
                self.metrics,
                self.out / "work",
            )
        return self

    def judge(self) -> dict[str, Any]:
        """Return the gate's verdict."""
        return judge(
            self.params,
            self.prepared,
            self.vanilla,
            self.adapter,
            self.predictions,
            self.attacks,
            self.metrics,
            self.out / "gate.json",
        )
