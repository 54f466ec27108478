"""The command line of the stage gate."""

from pathlib import Path

import typer
from rich.console import Console

from components.contract.params import Params
from components.contract.program import stage_program
from components.gate.stage import STAGE, Arguments
from viker import tracking
from viker.core import console

FAILED = 3
"""Exit code of a failed gate: apart from 1, an error, and 2, wrong usage."""


def command(settings: Params, params: Path, args: Arguments) -> None:
    """Judge the metrics by the policy `gate.policy` and the rules `gate.rules`, and write the verdict.

    The gate passes where **every** rule passes and **everything** required is there. A metric that is missing, null
    or NaN fails: what was not measured is not proven. So do metrics that were edited, or measured on another adapter,
    model, data or settings than the ones given. Exit codes: 0 passed, 3 failed, 1 an error in what was given,
    2 wrong usage.
    """
    from components.gate.run import run
    from components.gate.show import show, show_power
    from viker.gate.power import power

    if args.power:
        show_power(power(settings.gate, args.prepared, settings.evaluate), Console(highlight=False))
        return
    with tracking.Stage("gate", settings.values(), params) as recorded:
        verdict = run(settings, args)
        for part in (tracking.STAGE, tracking.PIPELINE):
            recorded.metrics({"gate": {"passed": float(verdict["verdict"] == "pass")}}, run=part)
            recorded.tags({"verdict": verdict["verdict"]}, run=part)
        recorded.params({"gate": settings.gate.model_dump(mode="json")})
        recorded.artifact(args.out)
    show(verdict, Console(highlight=False))
    if args.enforce and verdict["verdict"] != "pass":
        raise typer.Exit(FAILED)


app = stage_program(STAGE, command)

if __name__ == "__main__":
    console.run(app)
