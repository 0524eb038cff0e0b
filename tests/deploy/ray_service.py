"""The fields of a RayService (ray.io/v1, KubeRay 1.6), which Kubernetes' own schemas do not know."""

from typing import Any, Literal

import kubernetes_validate  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field

#: The oldest and the newest Kubernetes whose schemas are checked against.
KUBERNETES = ("1.34", "1.37")
KubernetesError = kubernetes_validate.ValidationError


class Part(BaseModel):
    """A part of the manifest; Kubernetes drops fields it does not know without a word."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Part):
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=47)
    namespace: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class AutoscalerOptions(Part):
    idleTimeoutSeconds: int = 60
    upscalingMode: Literal["Default", "Aggressive", "Conservative"] = "Default"
    version: Literal["v1", "v2"] | None = None
    image: str | None = None
    imagePullPolicy: str | None = None
    resources: dict[str, Any] = {}
    securityContext: dict[str, Any] = {}
    env: list[dict[str, Any]] = []


class AuthOptions(Part):
    mode: Literal["disabled", "token"] = "token"
    secretName: str | None = None


class Group(Part):
    #: Flags of `ray start`; all of them are strings.
    rayStartParams: dict[str, str]
    template: dict[str, Any]


class HeadGroup(Group):
    serviceType: str | None = None
    enableIngress: bool = False
    headService: dict[str, Any] | None = None


class WorkerGroup(Group):
    groupName: str
    replicas: int = 0
    minReplicas: int
    maxReplicas: int
    numOfHosts: int = 1
    suspend: bool | None = None


class Cluster(Part):
    rayVersion: str
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup] = []
    enableInTreeAutoscaling: bool = False
    autoscalerOptions: AutoscalerOptions | None = None
    authOptions: AuthOptions | None = None
    gcsFaultToleranceOptions: dict[str, Any] | None = None
    headServiceAnnotations: dict[str, str] = {}
    suspend: bool | None = None
    managedBy: str | None = None


class UpgradeStrategy(Part):
    type: Literal["NewCluster", "None", "NewClusterWithIncrementalUpgrade"]


class Spec(Part):
    serveConfigV2: str
    rayClusterConfig: Cluster
    upgradeStrategy: UpgradeStrategy | None = None
    excludeHeadPodFromServeSvc: bool = False
    serveService: dict[str, Any] | None = None
    rayClusterDeletionDelaySeconds: int | None = None


class RayService(Part):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayService"]
    metadata: Metadata
    spec: Spec

    @property
    def groups(self) -> list[Group]:
        """The head's group and those of workers."""
        cluster = self.spec.rayClusterConfig
        return [cluster.headGroupSpec, *cluster.workerGroupSpecs]


def check(document: dict[str, Any]) -> None:
    """Check a manifest, whatever its kind.

    Raises:
        ValidationError: Of pydantic or of kubernetes_validate, if a field is unknown, missing or wrong.
    """
    if document["kind"] != "RayService":
        for version in KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)
        return
    for group in RayService.model_validate(document).groups:
        metadata = {"name": "pod", **group.template.get("metadata", {})}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": group.template["spec"]}
        assert set(group.template) <= {"metadata", "spec"}
        check(pod)
