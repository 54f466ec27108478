"""The pods of the tasks, for the executor kubernetes."""

from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s

VOLUMES = {
    "/cache": k8s.V1Volume(
        name="cache", persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource(claim_name="viker-cache")
    ),
    "/dev/shm": k8s.V1Volume(  # noqa: S108 - a mount point in the pod, no file of this machine
        name="shm", empty_dir=k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit="2Gi")
    ),
    "/tmp": k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource()),  # noqa: S108 - a mount point in the pod, no file of this machine
}


def pod(image: str, command: str, environment: dict[str, str], large: bool, common: dict[str, Any]) -> Any:
    """Return the operator of a task as a pod: the triggerer waits for it, and no worker does."""
    size = {"cpu": "8", "memory": "96Gi"} if large else {"cpu": "2", "memory": "8Gi"}
    size |= {"nvidia.com/gpu": "1"} if large else {}
    return KubernetesPodOperator(
        name=f"viker-{common['task_id']}",
        namespace="viker",
        image=image,
        cmds=["sh", "-c"],
        arguments=[command],
        env_vars=environment | {"MLFLOW_TRACKING_URI": "http://mlflow:5000"},
        env_from=[
            k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name="viker-s3")),
            k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name="viker-guard", optional=True)),
        ],
        do_xcom_push=True,
        deferrable=True,
        startup_timeout_seconds=1800,
        volumes=list(VOLUMES.values()),
        volume_mounts=[k8s.V1VolumeMount(name=one.name, mount_path=path) for path, one in VOLUMES.items()],
        container_resources=k8s.V1ResourceRequirements(requests=size, limits=size),
        tolerations=[k8s.V1Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")] if large else [],
        security_context=k8s.V1PodSecurityContext(
            run_as_user=10001, run_as_group=10001, fs_group=10001, run_as_non_root=True
        ),
        container_security_context=k8s.V1SecurityContext(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
        ),
        service_account_name="viker",
        automount_service_account_token=False,
        **common,
    )
