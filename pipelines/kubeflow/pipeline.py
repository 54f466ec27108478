"""The pipeline for Kubeflow: the stages of dvc.yaml, in the same order, and around them what a schedule needs."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.gate.component import gate
from components.prepare.component import prepare, resolve
from components.register.component import close, finish, promote, register
from components.report.component import report
from components.sample.component import sample
from components.unlearn.component import unlearn

NAME = "viker"


def pipeline(settle: Callable[[dsl.PipelineTask], Any]) -> Any:
    """Return the pipeline, to compile or to run.

    Args:
        settle: is called with each task, to set where and how it runs; see ``pipelines.kubeflow.task_settings``.
    """

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
            asked = resolve(
                params=params,
                source=source,
                revision=revision,
                requests=requests,
                model=model,
                policy=policy,
                only_requests=only_requests,
            )
            settle(asked)
            given = asked.outputs
            with dsl.If(given["work"] == "yes", name="work"):
                data = prepare(params=given["prepare"], pending=given["pending"], state=given["state"])
                prepared = data.outputs["prepared"]
                knows = finetune(params=given["finetune"], prepared=prepared)
                vanilla = knows.outputs["vanilla"]
                images = sample(params=given["sample"], state=given["state"], prepared=prepared)
                irrelevant = images.outputs["irrelevant"]
                forgets = unlearn(params=given["unlearn"], prepared=prepared, vanilla=vanilla, irrelevant=irrelevant)
                adapter, unlearning = forgets.outputs["adapter"], forgets.outputs["unlearning"]
                measured = evaluate(
                    params=given["evaluate"],
                    prepared=prepared,
                    vanilla=vanilla,
                    irrelevant=irrelevant,
                    adapter=adapter,
                )
                metrics = measured.outputs["metrics"]
                judged = gate(
                    params=given["gate"],
                    prepared=prepared,
                    vanilla=vanilla,
                    adapter=adapter,
                    predictions=measured.outputs["predictions"],
                    attacks=measured.outputs["attacks"],
                    metrics=metrics,
                )
                registered = register(
                    params=given["register"],
                    adapter=adapter,
                    vanilla=vanilla,
                    prepared=prepared,
                    unlearning=unlearning,
                    metrics=metrics,
                    judged=judged.outputs["judged"],
                )
                evidence = report(
                    params=given["report"],
                    pending=given["pending"],
                    prepared=prepared,
                    unlearning=unlearning,
                    predictions=measured.outputs["predictions"],
                    metrics=metrics,
                    judged=judged.outputs["judged"],
                    registered=registered.outputs["registered"],
                )
                for task in (data, knows, images, forgets, measured, judged, registered, evidence):
                    settle(task)
                with dsl.If(judged.outputs["verdict"] == "pass", name="passed"):
                    champion = promote(params=given["register"], registered=registered.outputs["registered"])
                    settle(champion)
                    settle(close(requests=given["folder"], version=champion.outputs["version"], prepared=prepared))

    return viker
