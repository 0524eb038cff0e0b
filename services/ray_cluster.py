"""The Ray this process works with: started here for this machine alone, or joined at an address.

A Ray cluster is one trust domain: whoever reaches its ports and holds its token can run code in it, since
calls and values are pickled. A cluster started here therefore listens on 127.0.0.1 only. One that spans
machines is started with ``ray start`` on a network of its own, and joined by its address.
"""

import atexit
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import services as ray_services
from ray._private import worker as ray_worker

from spatial_agent.services.ray_confinement import is_kept
from spatial_agent.tools.errors import ConfigurationError

_log = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
#: Time a cluster may take to accept a connection.
REACH_S = 10.0
#: Ray's own secret, which its processes share; experts do not keep it.
_OWN_SECRETS = ("RAY_AUTH_TOKEN",)
#: Ray replaces 127.0.0.1 by the machine's own address and listens on every interface, unless told that
#: this Ray never spans machines; the name of the variable is from the systems where that is its default.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@dataclass(frozen=True)
class ClusterOptions:
    """Which Ray.

    Attributes:
        address: Address of a running cluster, such as ``"10.0.0.5:6379"``; None starts one here.
        cpus: Cores it counts with; all where left out.
        gpus: GPUs it counts with; those of the machine where left out.
        store_mb: Shared memory for frames, depth maps and other values, 2^20 bytes.
    """

    address: str | None = None
    cpus: int | None = None
    gpus: int | None = None
    store_mb: int = 1024


class RayCluster:
    """Starts or joins Ray when it is first needed, and leaves nothing behind."""

    def __init__(self, options: ClusterOptions | None = None) -> None:
        """Start nothing yet."""
        self._options = options or ClusterOptions()
        self._folder: Path | None = None
        self._keeper: Thread | None = None
        self._ended = Event()
        self._lock = Lock()

    def start(self) -> None:
        """Start or join; a Ray that this process already uses is used as it is.

        Raises:
            ConfigurationError: If no cluster can be reached or started.
        """
        with self._lock:
            if ray.is_initialized():
                return
            # Ray prints the deaths of workers on this process's standard output, where answers belong.
            ray_worker.print_to_stdstream = _log_events
            # The system kills Ray's processes when the thread that started them ends, not the process: this
            # one lives until `close`. (An executor's would end before Ray's own clean-up at exit.)
            started: Future[None] = Future()
            self._ended.clear()
            self._keeper = Thread(target=self._keep, args=(started,), name="ray-keeper", daemon=True)
            self._keeper.start()
            try:
                started.result()
            except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                self._keeper = None
                self._clear()
                raise ConfigurationError(f"Ray cannot be used: {error}") from error
            atexit.register(self.close)

    def close(self) -> None:
        """Leave a cluster, or stop the one that was started here with all its processes and memory."""
        with self._lock:
            if self._keeper is not None:
                ray.shutdown()
                self._ended.set()
                self._keeper.join()
                self._keeper = None
            self._clear()
        atexit.unregister(self.close)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """What Ray knows of each node that is alive."""
        return alive_nodes()

    @property
    def store_bytes(self) -> int:
        """Size of the largest node's store of shared values."""
        return int(max(node["Resources"].get("object_store_memory", 0.0) for node in self.nodes))

    def _keep(self, started: "Future[None]") -> None:
        try:
            self._join() if self._options.address else self._start_here()
        except BaseException as error:  # raised where it is waited for
            started.set_exception(error)
            return
        started.set_result(None)
        self._ended.wait()

    def _join(self) -> None:
        # Ray itself would go on trying for minutes.
        host, _, port = str(self._options.address).rpartition(":")
        if port.isdecimal():
            socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()
        ray.init(address=self._options.address, log_to_driver=False, logging_level=logging.ERROR)

    def _start_here(self) -> None:
        # Sockets live in there, whose paths must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp" if os.path.isdir("/tmp") else None))
        with _on_this_machine_only(), _without_our_secrets():
            ray.init(
                num_cpus=self._options.cpus,
                num_gpus=self._options.gpus,
                object_store_memory=self._options.store_mb * 2**20,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _node_ip_address=LOOPBACK,
                _temp_dir=str(self._folder),
            )
        where = self.nodes[0]["NodeManagerAddress"]
        if where != LOOPBACK:
            ray.shutdown()
            raise RuntimeError(
                f"this version of Ray ({ray.__version__}) listens on {where} instead of {LOOPBACK}; start a "
                "cluster with 'ray start' on a network you trust, and give its address"
            )

    def _clear(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def alive_nodes() -> list[dict[str, Any]]:
    """Return what Ray knows of each node that is alive."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in nodes if node["Alive"]]


def _log_events(data: Mapping[str, Any], ignore_prefix: bool) -> None:
    """Take what Ray would print."""
    for line in data["lines"]:
        _log.info("%s", line)


@contextmanager
def _on_this_machine_only() -> Iterator[None]:
    """Make what is started meanwhile, and its children for good, listen on the loopback device only."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}  # noqa: TID251 - written for Ray, not read
    spans_machines = ray_constants.ENABLE_RAY_CLUSTER
    os.environ.update(_ENVIRONMENT)  # noqa: TID251
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = spans_machines
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})  # noqa: TID251


@contextmanager
def _without_our_secrets() -> Iterator[None]:
    """Start Ray's processes meanwhile, and so their children, with little of this one's environment."""
    start: Any = ray_services.ConsolePopen

    def start_with_little(*arguments: Any, env: Mapping[str, str], **options: Any) -> object:  # noqa: ANN401
        kept = {name: value for name, value in env.items() if is_kept(name, _OWN_SECRETS)}
        return start(*arguments, env=kept, **options)

    # This process keeps its own environment all the while: other threads may be reading it.
    ray_services.ConsolePopen = start_with_little  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        ray_services.ConsolePopen = start  # type: ignore[misc]
