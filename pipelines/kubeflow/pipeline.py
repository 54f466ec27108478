"""The pipeline for Kubeflow: the stages, wired by the artifacts that they declare, and what a schedule needs around."""

from collections.abc import Callable, Mapping
from typing import Any

from kfp import dsl

from components.contract.kfp_task import DONE, OUTCOME
from components.contract.stages import Stage, stages
from pipelines.kubeflow.components import beside, component, given
from pipelines.kubeflow.tasks import ASKED, ASKS, ask, close, collect, finish, promote, purge, refuse, resolve

NAME = "viker"


Settle = Callable[[dsl.PipelineTask], Any]


def pipeline(settle: Settle, shares: Mapping[str, int]) -> Any:
    """Return the pipeline; ``settle`` sets where and how each task runs, see ``pipelines.kubeflow.task_settings``.

    ``shares``: by artifact of ``LISTS``, how many tasks make it at the same time, each its share.
    """

    @dsl.pipeline(name=NAME, description="Make a multimodal language model forget people on request, and prove it.")
    def viker(
        params: dict = {},  # noqa: B006 - kfp compiles the default into the pipeline; it is never mutated
        source: str = "",
        revision: str = "",
        requests: str = "",
        model: str = "",
        policy: str = "",
        only_requests: bool = False,
    ) -> None:
        """Make a multimodal language model forget people on request, and prove it.

        Args:
            params: Sections of params.yaml; what is left out is as in the image.
            source: The data, in place of prepare.source.
            revision: Commit or tag of the data, in place of prepare.revision.
            requests: Folder of the forget requests, such as s3://BUCKET/requests, in place of prepare.requests.
            model: The deployed model, in place of finetune.deployed_model.
            policy: The gate's policy, in place of gate.policy.
            only_requests: Whether there is nothing to do where no request is pending.
        """
        last = finish(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, requests=requests)
        settle(last)
        with dsl.ExitHandler(last, name="viker"):
            resolved = resolve()(
                params=params,
                source=source,
                revision=revision,
                requests=requests,
                model=model,
                policy=policy,
                only_requests=only_requests,
            )
            settle(resolved)
            with dsl.If(resolved.outputs["work"] == "yes", name="work"):
                values = {name: resolved.outputs[name] for name in ("requests_sha256", "champion", "model_name")}
                collecting = collect(requests=resolved.outputs["folder"], **values)
                settle(collecting)
                _stages(list(stages().values()), resolved.outputs, collecting.outputs, settle, shares)

    return viker


def _stages(
    waiting: list[Stage], resolved: Any, written: dict[str, Any], settle: Settle, shares: Mapping[str, int]
) -> None:
    """Add the stages, and promotion behind a passed gate; ``written``: the artifacts and results there are so far.

    What follows a task on a GPU node that was given something it can't use is left out, and the run fails.
    """
    shared = tuple(name for name, count in shares.items() if count > 1)
    for place, stage in enumerate(waiting):
        values = {name: resolved[stage.name if name == "params" else name] for name in given(stage)}
        needed = beside(stage, shared)
        written |= {name: _ask(name, resolved, written, settle, shares) for name in needed if name in ASKED}
        reads = {name: written[name] for name in (*needed, *(what.source for what in stage.inputs().values()))}
        task = component(stage, shared)(**values, **reads)
        settle(task)
        written = written | task.outputs
        if stage.loads_model:
            with dsl.If(task.outputs[OUTCOME] == DONE, name=f"{stage.name}-done"):
                _stages(waiting[place + 1 :], resolved, written, settle, shares)
            with dsl.If(task.outputs[OUTCOME] != DONE, name=f"{stage.name}-refused"):
                settle(refuse(stage.name)(reason=task.outputs[OUTCOME]))
            return
    with dsl.If(written["verdict"] == "pass", name="passed"):
        champion = promote(params=resolved["register"], registered=written["registered"])
        settle(champion)
        version = champion.outputs["version"]
        closing = close(requests=resolved["folder"], version=version, prepared_manifest=written["prepared_manifest"])
        settle(closing)
        last = purge(params=resolved["register"], requests=resolved["folder"], prepared=written["prepared"])
        settle(last.after(closing))


def _ask(artifact: str, resolved: Any, written: dict[str, Any], settle: Settle, shares: Mapping[str, int]) -> Any:
    """Add the task that asks ahead of a stage, or the tasks that share this; return the artifact, or the list of them.

    So the vanilla model is asked by a task of its own, which the cache knows by model, data and protocol.
    """
    task = ASKED[artifact]
    stage, _ = ASKS[task]
    component = ask(task)
    values = {"params": resolved[stage], "refusals": resolved["refusals"]}
    artifacts = component.component_spec.inputs.keys() & written.keys()
    reads = values | {name: written[name] for name in sorted(artifacts)}
    count = shares.get(artifact, 1)
    if count == 1:
        one = component(share="1/1", **reads)
        settle(one)
        return one.outputs["answers"]
    with dsl.ParallelFor([f"{number}/{count}" for number in range(1, count + 1)], name=f"{task}-shares") as share:
        each = component(share=share, **reads)
        settle(each)
    return dsl.Collected(each.outputs["answers"])
