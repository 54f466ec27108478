"""What the DAG of Airflow reads of the stages: deploy/airflow/stages.json."""

import json
from pathlib import Path

from components.contract.stages import Option, artifacts, stages

STAGES = Path("deploy/airflow/stages.json")
"""Next to the DAG, which reads it."""


def airflow_stages() -> str:
    """Return the JSON: for each stage what it waits for, its options, and whether it loads the model."""
    described = {
        stage.name: {
            "after": sorted({artifacts()[what.artifact][0] for what in stage.inputs().values()}),
            "loads_model": stage.loads_model,
            "options": [
                f"--no-{name}"
                for name, (_, what) in stage.declared().items()
                if isinstance(what, Option) and what.airflow is False
            ],
        }
        for stage in stages().values()
    }
    return json.dumps(described, indent=2) + "\n"
