"""The files of one adapter, evaluated and judged by the stages themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gate.once import code_hash, once
from components.contract.params import Params
from components.evaluate.run import run as evaluate
from components.evaluate.stage import Arguments as EvaluateArguments
from components.gate.run import run as judge
from components.gate.stage import Arguments as GateArguments
from viker.core.files import sha256_path

EVALUATED_BY = (
    *("components/evaluate", "viker/attacks", "viker/data", "viker/evaluation", "viker/generation", "viker/metrics"),
    "viker/models",
)


@dataclass(frozen=True)
class Tree:
    """Paths of what the stages read; evaluate and gate write to ``out``."""

    params: Params
    prepared: Path
    irrelevant: Path
    vanilla: Path
    adapter: Path
    out: Path

    @property
    def unlearning(self) -> Path:
        """The records of the adapter's training."""
        return self.adapter.with_name("unlearning")

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
        """Question and attack the adapter, unless the same code did so before on the same files."""

        def measure() -> None:
            evaluate(
                self.params.evaluate,
                self.params.seed,
                self.params.threads,
                EvaluateArguments(
                    self.prepared,
                    self.vanilla,
                    self.adapter,
                    self.irrelevant,
                    self.predictions,
                    self.attacks,
                    self.metrics,
                    self.out / "work",
                ),
            )

        files = (self.prepared / "manifest.json", self.vanilla, self.adapter, self.irrelevant)
        inputs = [self.params.seed, self.params.evaluate.model_dump(mode="json"), code_hash(*EVALUATED_BY)]
        once(self.out / "evaluated.json", [*inputs, *map(sha256_path, files)], measure)
        return self

    def judge(self) -> dict[str, Any]:
        """Return the gate's verdict."""
        return judge(
            self.params,
            GateArguments(
                self.prepared,
                self.vanilla,
                self.adapter,
                self.unlearning,
                self.predictions,
                self.attacks,
                self.metrics,
                self.out / "gate.json",
                enforce=True,
                power=False,
            ),
        )
