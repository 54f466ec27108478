"""Where and how a task runs: the section 'deploy' of params.yaml, put onto the tasks of the pipeline."""

from importlib.metadata import version

from kfp import kubernetes
from kfp.dsl import PipelineTask

from components.contract.deployment import DeployParams, Size
from components.contract.kfp_task import CACHE
from components.contract.stages import stages
from pipelines.kubeflow.components import launched
from pipelines.kubeflow.tasks import ASKS, CACHED, IMAGES, REFUSALS

START = 30 * 60
"""Seconds in which a pod is scheduled and its image pulled: a GPU node may have to be started."""
RUN_ID = "metadata.labels['pipeline/runid']"
"""The run's ID, on each pod of a run: as an input it would be a part of the cache's key."""


TRACKING = "VIKER_TRACKING_DIR"
"""Named in each pod, as the images' own is a folder that goes with the pod."""


def settle(task: PipelineTask, deploy: DeployParams) -> None:
    """Set a task's image, resources, node, volumes, environment, user, retries, timeout and caching."""
    profile = deploy.profiles[deploy.profile]
    stage = stages().get(task.name)
    large = task.name in ASKS or (stage is not None and stage.loads_model)
    size = profile.large if large else profile.small

    task.set_container_image(image(IMAGES.get(task.name, task.name), deploy))
    kubernetes.set_image_pull_policy(task, deploy.pull_policy)
    if deploy.pull_secrets:
        kubernetes.set_image_pull_secrets(task, deploy.pull_secrets)

    task.set_cpu_request(size.cpu).set_cpu_limit(size.cpu)
    task.set_memory_request(size.memory).set_memory_limit(size.memory)
    shared = "/dev/shm"  # noqa: S108 - a mount point in the pod, no file of this machine
    kubernetes.empty_dir_mount(task, "shm", shared, medium="Memory", size_limit=size.shared_memory)
    if large and profile.gpu:
        count = profile.gpu.count if stage is not None and stage.processes else 1
        task.set_accelerator_type(profile.gpu.resource).set_accelerator_limit(count)
        if count > 1 and task.container_spec:
            task.container_spec.args = launched(task.container_spec.args or [], count)
    for key, label in profile.node_selector.items() if large else ():
        kubernetes.add_node_selector(task, key, label)
    for taint in profile.tolerations if large else ():
        kubernetes.add_toleration(task, taint.key, taint.operator, taint.value, taint.effect)

    kubernetes.empty_dir_mount(task, "tmp", "/tmp")  # noqa: S108 - the images' HOME; their root may be read-only
    if deploy.cache_claim:
        kubernetes.mount_pvc(task, deploy.cache_claim, CACHE)
    else:
        kubernetes.empty_dir_mount(task, "cache", CACHE)
    for name, value in {TRACKING: f"{CACHE}/tracking", **deploy.environment}.items():
        task.set_env_variable(name, value)
    for name, keys in deploy.secrets.items():
        kubernetes.use_secret_as_env(task, name, {key: key for key in keys})
    kubernetes.set_security_context(task, deploy.run_as, deploy.run_as, run_as_non_root=True)

    kubernetes.use_field_path_as_env(task, "VIKER_RUN", RUN_ID)
    if task.name not in REFUSALS:
        task.set_retry(size.retries, f"{deploy.backoff}s", 2.0, f"{retry_window(size, deploy.backoff)}s")
    kubernetes.set_timeout(task, size.minutes * 60)
    task.set_caching_options(task.name in CACHED if stage is None else stage.cached)


def retry_window(size: Size, backoff: int) -> int:
    """Return the seconds from a task's first attempt within which Argo tries it again, all attempts together.

    (minutes · 60 + START) · (retries + 1) + backoff · (2^retries − 1): every attempt to its time limit, the wait of
    each for a node, and the pauses. kfp calls it the largest pause, but it becomes Argo's maxDuration, which counts
    from the beginning of the first attempt and ends the last (kubeflow/pipelines 2.17.0,
    backend/src/v2/compiler/argocompiler/container.go; argo-workflows, workflow/controller/operator.go).
    """
    return (size.minutes * 60 + START) * (size.retries + 1) + backoff * (2**size.retries - 1)


def image(stage: str, deploy: DeployParams) -> str:
    """Return the full name of a stage's image: by its digest where there is one, else by its tag."""
    name = f"{deploy.registry.rstrip('/')}/viker-{stage}" if deploy.registry else f"viker-{stage}"
    if stage in deploy.digests:
        return f"{name}@{deploy.digests[stage]}"
    return f"{name}:{deploy.tag or version('viker')}"
