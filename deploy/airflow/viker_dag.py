"""The pipeline for Airflow, where there is no Kubeflow: the same images, one pod a stage, files on one volume.

The thin alternative: no cache, no schedule that waits for requests, no closing of requests. Copy this file and
stages.json into Airflow's folder of DAGs; they need apache-airflow-providers-cncf-kubernetes.
The pods share the claim 'viker-cache', with a folder in it for each run, so it must allow ReadWriteMany. Airflow's
variables viker_registry and viker_tag name the images; the parameter 'params' of a run holds its changes to the images'
params.yaml.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, Param
from kubernetes.client import models as k8s

STAGES = json.loads((Path(__file__).parent / "stages.json").read_text(encoding="utf-8"))
"""The stages in their order, as 'viker pipeline compile' writes them: what each waits for, its options, and whether it
loads the model and so runs on a GPU node."""
RUN = "{{ run_id | replace(':', '-') | replace('+', '-') }}"
WORK = f"/cache/airflow/{RUN}"
TASK = (
    '{"inputs": {"parameterValues": {"params": {{ params.params | tojson }}}},'
    ' "outputs": {"outputFile": "/tmp/outputs.json"}}'
)
BEGIN = f"mkdir -p {WORK} && cp params.yaml {WORK}/ && ln -sfn /opt/viker/components /opt/viker/viker {WORK}/ && "
"""The work tree of the run, made by its first stage in the images' own folder."""
VOLUMES = {
    "/cache": k8s.V1Volume(
        name="cache", persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource(claim_name="viker-cache")
    ),
    "/dev/shm": k8s.V1Volume(  # noqa: S108 - a volume of the pod's own
        name="shm", empty_dir=k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit="2Gi")
    ),
    "/tmp": k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource()),  # noqa: S108 - a volume of the pod's own
}


def pod(stage: str) -> KubernetesPodOperator:
    """Return the task of one stage: its program, in its image, as the images' user."""
    large = STAGES[stage]["loads_model"]
    size = {"cpu": "8", "memory": "96Gi"} if large else {"cpu": "2", "memory": "8Gi"}
    size |= {"nvidia.com/gpu": "1"} if large else {}
    options = "".join(f" {option}" for option in STAGES[stage]["options"])
    program = f'exec python -m components.contract.kfp_task "$TASK" "$VIKER_RUN" components.{stage}{options}'
    return KubernetesPodOperator(
        task_id=stage,
        name=f"viker-{stage}",
        namespace="viker",
        image="{{ var.value.viker_registry }}/viker-" + stage + ":{{ var.value.viker_tag }}",
        cmds=["sh", "-c"],
        arguments=[f"{BEGIN if stage == 'prepare' else ''}cd {WORK} && {program}"],
        env_vars={
            "TASK": TASK,
            "VIKER_RUN": RUN,
            "VIKER_ENGINE": "airflow",
            "MLFLOW_TRACKING_URI": "http://mlflow:5000",
            "HF_HOME": "/cache/huggingface",
        },
        env_from=[k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name="viker-s3"))],
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
        retries=3,
        retry_delay=timedelta(minutes=1),
        retry_exponential_backoff=True,
        execution_timeout=timedelta(hours=24 if large else 1),
    )


with DAG(
    dag_id="viker",
    description="Make a multimodal language model forget people on request, and prove it.",
    start_date=datetime(2026, 1, 1),
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params={"params": Param({}, type="object", description="Sections of params.yaml, laid over the images' own.")},
) as dag:
    tasks = {stage: pod(stage) for stage in STAGES}
    for stage, declared in STAGES.items():
        tasks[stage].set_upstream([tasks[name] for name in declared["after"]])
