"""The section 'deploy' of params.yaml: how the stages run in Kubernetes. No stage reads it, the pipeline does."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from components.contract.stages import stages
from viker.core.settings import Section

Amount = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|[KMGT]i?)?$")]
"""A quantity as Kubernetes writes it: 500m, 2, 8Gi."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
"""The name of an object in Kubernetes."""


class Size(Section):
    """What a task may use of a node."""

    cpu: Amount
    memory: Amount
    shared_memory: Amount
    """Of the memory, what processes share: torch's data loaders pass batches there."""
    minutes: Annotated[int, Field(ge=1)]
    """After these a task is stopped; a retry of unlearn resumes from its checkpoint."""
    retries: Annotated[int, Field(ge=0, le=10)]


class Gpu(Section):
    """The accelerators of a task."""

    resource: str = Field(min_length=1)
    """What the nodes call them: nvidia.com/gpu, amd.com/gpu."""
    count: Annotated[int, Field(ge=1)]
    """Those of unlearn, which starts a process for each; evaluate computes on one."""


class Toleration(Section):
    """A taint of nodes that is no hindrance."""

    key: str
    operator: Literal["Exists", "Equal"]
    value: str | None = None
    effect: Literal["NoSchedule", "NoExecute", "PreferNoSchedule"]


class DeployProfile(Section):
    """A kind of cluster."""

    small: Size
    """For all that don't load the model: a deployed one is only pointed to by finetune."""
    large: Size
    """For unlearn and evaluate, which load the model."""
    gpu: Gpu | None
    """For the large ones; null: they compute on CPUs."""
    node_selector: dict[str, str]
    """Labels of the nodes for the large ones, such as the kind of their GPU."""
    tolerations: list[Toleration]


class DeployParams(Section):
    """Where and how the tasks run."""

    profile: str
    registry: str | None
    """Where the images are, such as ghcr.io/OWNER; null: as 'make images' names them."""
    tag: str | None
    """The images' tag; null: the version of this project."""
    digests: dict[str, Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]]
    """STAGE: sha256:…, which goes before the tag."""
    pull_policy: Literal["IfNotPresent", "Always", "Never"]
    pull_secrets: list[Name]
    run_as: Annotated[int, Field(ge=1)]
    """User and group of the images."""
    backoff: Annotated[int, Field(ge=1)]
    """Seconds before the first retry; doubled for each further one."""
    teacher_shares: Annotated[int, Field(ge=1, le=64)] = 1
    """How many tasks ask the teacher at the same time, each on a GPU of its own; 1: unlearn asks. The same adapter."""
    evaluate_shares: Annotated[int, Field(ge=1, le=64)] = 1
    """How many tasks ask the unlearned model at the same time, each on a GPU of its own; the result is the same."""
    cache_claim: Name | None
    """The PersistentVolumeClaim for model weights, sources and checkpoints; null: they go with the pod."""
    environment: dict[str, str]
    secrets: dict[Name, list[str]]
    """Secrets and which of their keys become environment variables of the same name."""
    profiles: dict[str, DeployProfile]

    @field_validator("digests")
    @classmethod
    def _of_stages(cls, digests: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(digests) - set(stages())):
            raise ValueError(f"'{unknown[0]}' is no stage; expected {', '.join(stages())}")
        return digests

    @field_validator("environment")
    @classmethod
    def _no_secrets(cls, environment: dict[str, str]) -> dict[str, str]:
        for name, value in environment.items():
            secret = any(word in name.upper() for word in ("SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY"))
            if secret or "@" in value.partition("://")[2].partition("/")[0]:
                raise ValueError(f"{name} looks like a secret: put it into a Secret and name that in deploy.secrets")
        return environment

    @field_validator("profiles")
    @classmethod
    def _has_the_chosen(cls, profiles: dict[str, DeployProfile], info: ValidationInfo) -> dict[str, DeployProfile]:
        if info.data.get("profile") not in profiles:
            raise ValueError(f"deploy.profile is '{info.data.get('profile')}': expected one of {', '.join(profiles)}")
        return profiles
