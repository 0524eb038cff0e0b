"""The manifests say what their schemas know, agree with one another, and let nobody in by mistake."""

import copy
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from spatial_agent.services.api.config import ServiceConfig, read_config
from tests.deploy.ray_service import KubernetesError, RayService, check

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER, CACHE, CONFIG = "/var/lib/spatial-agent", "/var/cache/spatial-agent", "/etc/spatial-agent"
NAME = "app.kubernetes.io/name"


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def service(manifests: list[dict[str, Any]]) -> RayService:
    return RayService.model_validate(kind(manifests, "RayService"))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return document


def kind(manifests: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    (found,) = [document for document in manifests if document["kind"] == wanted]
    return found


def pods(service: RayService) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the pod and the container of each group."""
    for group in service.groups:
        (container,) = group.template["spec"]["containers"]
        yield group.template["spec"], container


def test_every_manifest_is_valid(manifests: list[dict[str, Any]]) -> None:
    for document in manifests:
        check(document)
    kinds = {document["kind"] for document in manifests}
    assert kinds == {
        *("ConfigMap", "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget", "RayService")
    }


def _rename(document: dict[str, Any], old: str, new: str) -> None:
    document[new] = document.pop(old)


MISTAKES: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "a field that KubeRay does not know": (
        "RayService",
        lambda document: _rename(document["spec"], "rayClusterConfig", "rayClusterSpec"),
    ),
    "a number where ray start takes text": (
        "RayService",
        lambda document: document["spec"]["rayClusterConfig"]["headGroupSpec"]["rayStartParams"].update(
            {"num-cpus": 0}
        ),
    ),
    "a field that pods do not have": (
        "RayService",
        lambda document: document["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"][
            "spec"
        ].update(restartPolicies="Always"),
    ),
    "a list where a number belongs": (
        "PodDisruptionBudget",
        lambda document: document["spec"].update(maxUnavailable=[1]),
    ),
    "a misspelt field": ("NetworkPolicy", lambda document: _rename(document["spec"], "ingress", "ingres")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_found(mistake: str, manifests: list[dict[str, Any]]) -> None:
    wanted, break_it = MISTAKES[mistake]
    broken = copy.deepcopy(kind(manifests, wanted))
    check(broken)
    break_it(broken)
    with pytest.raises((ValidationError, KubernetesError)):
        check(broken)


def test_the_cluster_serves_what_the_serve_configuration_says(service: RayService) -> None:
    serve = yaml.safe_load((DEPLOY / "serve.yaml").read_text(encoding="utf-8"))
    assert yaml.safe_load(service.spec.serveConfigV2) == serve


def test_every_replica_has_room(service: RayService) -> None:
    (application,) = yaml.safe_load(service.spec.serveConfigV2)["applications"]
    args = application["args"]
    (workers,) = service.spec.rayClusterConfig.workerGroupSpecs
    (container,) = workers.template["spec"]["containers"]
    # KubeRay tells Ray the limit of a pod as its cores.
    each = int(container["resources"]["limits"]["cpu"]) // args["cpus"]
    assert (each * workers.minReplicas) >= args["min_replicas"]
    assert (each * workers.maxReplicas) >= args["max_replicas"]
    assert service.spec.rayClusterConfig.headGroupSpec.rayStartParams["num-cpus"] == "0"


def test_the_configurations_are_ones_that_the_service_takes(
    manifests: list[dict[str, Any]], tmp_path: Path
) -> None:
    text = kind(manifests, "ConfigMap")["data"]["service.toml"]
    (tmp_path / "service.toml").write_text(text, encoding="utf-8")
    mounted, shipped = read_config(tmp_path / "service.toml"), read_config(DEPLOY / "service.toml")
    assert mounted.model_copy(update={"host": "0.0.0.0"}) == shipped
    assert (shipped.folder, shipped.needs_keys) == (Path(FOLDER), True)
    assert set(tomllib.loads(text)) <= set(ServiceConfig.model_fields)


def test_scenes_are_on_a_volume_that_many_nodes_write_to(
    manifests: list[dict[str, Any]], service: RayService
) -> None:
    claim = kind(manifests, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod, container in pods(service):
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        scenes = volumes[mounts[FOLDER]["name"]]["persistentVolumeClaim"]
        assert scenes["claimName"] == claim["metadata"]["name"]
        assert mounts[CONFIG]["readOnly"]
        # What is written to while the root is read-only.
        assert {CACHE, "/tmp", "/dev/shm"} <= set(mounts)


def test_pods_have_no_rights_to_lose(service: RayService) -> None:
    for pod, container in pods(service):
        user, locked = pod["securityContext"], container["securityContext"]
        assert (user["runAsNonRoot"], user["runAsUser"]) == (True, 10001)
        assert user["seccompProfile"] == {"type": "RuntimeDefault"}
        assert locked == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"memory", "cpu"} <= set(container["resources"]["limits"])
    assert service.spec.rayClusterConfig.authOptions is not None
    assert service.spec.rayClusterConfig.authOptions.mode == "token"


def test_secrets_are_named_and_never_written(service: RayService) -> None:
    for _, container in pods(service):
        secrets = {entry["name"]: entry for entry in container["env"]}
        assert secrets["SPATIAL_AGENT_DATABASE"]["valueFrom"]["secretKeyRef"]["name"] == "spatial-agent"
        assert [name for name, entry in secrets.items() if "value" in entry] == []
    for file in DEPLOY.iterdir():
        words = file.read_text(encoding="utf-8")
        assert re.findall(r"postgresql://\w+:(?!PASSWORD@|\$\{POSTGRES_PASSWORD:\?)\S+", words) == [], file


def test_only_its_own_pods_reach_the_ports_of_ray(
    manifests: list[dict[str, Any]], service: RayService
) -> None:
    policy = kind(manifests, "NetworkPolicy")["spec"]
    ours = {"matchLabels": {NAME: "spatial-agent"}}
    assert policy["podSelector"] == ours
    for group in service.groups:
        assert group.template["metadata"]["labels"][NAME] == "spatial-agent"
    anything = [rule for rule in policy["ingress"] if "ports" not in rule]
    assert anything == [{"from": [{"podSelector": ours}]}]
    others = [rule for rule in policy["ingress"] if "ports" in rule]
    assert all(rule["from"] and all(rule["from"]) for rule in others)
    # The port of the cluster's memory and the one that takes programs from clients.
    assert not {6379, 10001} & {port["port"] for rule in others for port in rule["ports"]}


def test_the_budget_counts_the_workers(manifests: list[dict[str, Any]], service: RayService) -> None:
    selected = kind(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    head, worker = (group.template["metadata"]["labels"] for group in service.groups)
    assert selected.items() <= worker.items()
    assert not selected.items() <= head.items()


def test_compose_serves_this_machine_alone(compose: dict[str, Any]) -> None:
    service = compose["services"]["service"]
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in compose["services"]["database"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert compose["services"]["database"]["networks"] == ["inside"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_compose_keeps_what_must_be_kept(compose: dict[str, Any]) -> None:
    service = compose["services"]["service"]
    kept = dict(volume.split(":", 2)[:2][::-1] for volume in service["volumes"])
    assert {kept[FOLDER], kept[CACHE]} <= set(compose["volumes"])
    assert kept[f"{CONFIG}/service.toml"] == "./service.toml"
    stop_s = float(service["stop_grace_period"].removesuffix("s"))
    assert stop_s > read_config(DEPLOY / "service.toml").work.drain_seconds
    assert set(compose["services"]["service"]["networks"]) <= set(compose["networks"])
    # Without a password it does not start, rather than with one that everybody knows.
    passwords = re.findall(r"\$\{POSTGRES_PASSWORD(.*?)\}", (DEPLOY / "compose.yaml").read_text("utf-8"))
    assert len(passwords) == 2
    assert all(rest.startswith(":?") for rest in passwords)
