"""kfp.local with what it lacks to run this pipeline: conditions on outputs that have a name of their own."""

from typing import Any

import pytest
from kfp.local.orchestrator.enhanced_dag_orchestrator import ConditionEvaluator


@pytest.fixture
def named_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``dsl.If`` find the output of a task of the same level by its name, as Kubeflow does.

    kfp.local 2.17.0 looks only for one that is called Output, which a container component can't have, and takes the
    condition for false without an error.
    """
    before = ConditionEvaluator._resolve_pipeline_channel

    def resolve(channel: str, store: Any) -> Any:
        for task, outputs in store._task_output_data.items():
            for name, value in outputs.items():
                if channel == f"pipelinechannel--{task}-{name}":
                    return value
        return before(channel, store)

    monkeypatch.setattr(ConditionEvaluator, "_resolve_pipeline_channel", staticmethod(resolve))
