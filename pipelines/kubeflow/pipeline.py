"""The pipeline for Kubeflow: the stages, wired by the artifacts that they declare, and what a schedule needs around."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.contract.stages import stages
from pipelines.kubeflow.components import component, given
from pipelines.kubeflow.tasks import close, finish, promote, resolve

NAME = "viker"


def pipeline(settle: Callable[[dsl.PipelineTask], Any]) -> Any:
    """Return the pipeline; ``settle`` sets where and how each task runs, see ``pipelines.kubeflow.task_settings``."""

    @dsl.pipeline(name=NAME, description="Make a multimodal language model forget people on request, and prove it.")
    def viker(
        params: dict = {},  # noqa: B006 - kfp reads the default, nobody changes it
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
        last = finish(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
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
                written: dict[str, Any] = {}
                for stage in stages().values():
                    values = {name: resolved.outputs[stage.name if name == "params" else name] for name in given(stage)}
                    reads = {what.artifact: written[what.artifact] for what in stage.inputs().values()}
                    task = component(stage)(**values, **reads)
                    settle(task)
                    written |= task.outputs
                with dsl.If(written["verdict"] == "pass", name="passed"):
                    champion = promote(params=resolved.outputs["register"], registered=written["registered"])
                    settle(champion)
                    folder, version = resolved.outputs["folder"], champion.outputs["version"]
                    settle(close(requests=folder, version=version, prepared=written["prepared"]))

    return viker
