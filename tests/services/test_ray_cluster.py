"""A Ray started here listens on this machine only, says nothing, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("ray")

from spatial_agent.services.ray_cluster import ClusterOptions, RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

#: Ray serves one cluster to a process, so that one that is started and stopped needs a process of its own.
STORY = """
import asyncio, json, sys
import numpy as np
import psutil
from spatial_agent.services.ray_pools import ExpertPools
from spatial_agent.services.ray_runner import RayRunner
from spatial_agent.tools.contract import ToolCall
from spatial_agent.tools.registry import Registry, expert
from spatial_agent.tools.scene import DepthMap

def flat() -> DepthMap:
    '''Measure a plane.'''
    return DepthMap(np.full((700, 900), 2.0, np.float32))

registry = Registry()
registry.add(expert("depth.flat")(flat))
pools = ExpertPools(registry)
before = len(psutil.Process().children(recursive=True))
runner = RayRunner(registry, pools)
result = asyncio.run(runner.call(ToolCall("c", "depth.flat")))
depth = runner.value(result.handle)
me = psutil.Process()
family = [me, *me.children(recursive=True)]
listening = sorted({
    (process.name(), connection.laddr.ip)
    for process in family
    for connection in process.net_connections("inet")
    if connection.status == psutil.CONN_LISTEN
})
folder = str(pools._cluster._folder)
pids = [process.pid for process in family[1:]]
print(json.dumps({"before": before, "pids": pids, "listening": listening, "folder": folder}))
sys.stdout.flush()
if sys.argv[1] == "wait":
    sys.stdin.read()
if sys.argv[1] == "forget":
    sys.exit()
pools.close()
print(json.dumps({"children": len(me.children(recursive=True)), "depth": float(depth.z_m.mean())}))
"""


#: Without what the tests' own cluster was started with.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def start(how: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", STORY, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def shared_memory() -> set[str]:
    return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()


def runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended and that nobody asked about does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What a process told that started Ray, used it and closed it."""
    shared_before = shared_memory()
    with start("close") as process:
        out, err = process.communicate(timeout=120)
    found: dict[str, Any] = {}
    for line in out.splitlines():
        found |= json.loads(line)
    return found | {"stderr": err, "code": process.returncode, "shared": shared_memory() - shared_before}


def test_nothing_is_started_before_the_first_call(told: dict[str, Any]) -> None:
    assert told["before"] == 0
    assert len(told["pids"]) > 3


def test_every_socket_is_this_machines_own(told: dict[str, Any]) -> None:
    assert len(told["listening"]) > 3
    assert {address.removeprefix("::ffff:") for _, address in told["listening"]} == {"127.0.0.1"}


def test_no_process_memory_or_file_is_left(told: dict[str, Any]) -> None:
    assert told["code"] == 0
    assert told["children"] == 0
    assert not [pid for pid in told["pids"] if runs(pid)]
    assert told["shared"] == set()
    assert not Path(told["folder"]).exists()


def test_arrays_outlive_the_service_that_measured_them(told: dict[str, Any]) -> None:
    assert told["depth"] == 2.0


def test_it_prints_nothing_but_its_name_for_the_token(told: dict[str, Any]) -> None:
    lines = [line for line in told["stderr"].splitlines() if "authentication_token_setup" not in line]
    assert lines == []


@pytest.mark.slow
def test_a_service_that_nobody_closed_ends_with_its_process() -> None:
    with start("forget") as process:
        out, _ = process.communicate(timeout=120)

    assert process.returncode == 0
    assert not [pid for pid in json.loads(out)["pids"] if runs(pid)]
    assert not Path(json.loads(out)["folder"]).exists()


def test_when_the_process_is_killed_its_ray_goes_too(eventually: Callable[..., None]) -> None:
    with start("wait") as process:
        assert process.stdout is not None
        pids = json.loads(process.stdout.readline())["pids"]
        # Two small agents of Ray's own go on looking for their masters for a minute.
        working = [pid for pid in pids if "Agent" not in psutil.Process(pid).name()]
        process.send_signal(signal.SIGKILL)
    assert len(working) > 3
    eventually(lambda: not any(runs(pid) for pid in working))


@pytest.mark.slow
def test_an_address_where_no_cluster_is_is_told(ray_cluster: RayCluster) -> None:
    story = (
        "from spatial_agent.services.ray_cluster import *\n"
        "RayCluster(ClusterOptions(address='127.0.0.1:1')).start()"
    )
    process = subprocess.run(
        [sys.executable, "-c", story],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=ENVIRONMENT,
    )

    assert "ConfigurationError: Ray cannot be used: " in process.stderr
    assert "refused" in process.stderr


def test_a_ray_that_is_already_in_use_is_used_and_left_running(ray_cluster: RayCluster) -> None:
    import ray

    second = RayCluster(ClusterOptions())
    second.start()
    second.close()

    assert ray.is_initialized()
    assert second.nodes == ray_cluster.nodes
