"""What runs in the process of an isolated expert: it limits itself, imports the expert, and answers.

Bubblewrap has taken the network, the files and the environment away before this starts; what is added here
holds even where a namespace does not. Nothing of the expert is imported before.
"""

import importlib
import os
import resource
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spatial_agent.sandbox.isolation import protocol
from spatial_agent.sandbox.isolation.description import described
from spatial_agent.sandbox.isolation.protocol import Operation
from spatial_agent.sandbox.kernel import landlock, seccomp
from spatial_agent.tools.binding import as_tool_error
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import ToolCrashedError, ToolError, ToolUnavailableError, WireError
from spatial_agent.tools.registry import Tool, tool_of

#: Threads and processes together, files open at once, and bytes of one file. The last two bound what files of
#: memory can hold, which counts as nobody's memory while it is not mapped.
MOST_TASKS, MOST_FILES, FILE_BYTES = 64, 128, 16 * 2**20
_RLIMIT_MSGQUEUE, _RLIMIT_SIGPENDING = 12, 11
_WRITABLE = ("/tmp", "/dev/shm", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def main() -> None:
    """Serve the socket whose descriptor is the one argument, until nobody asks any more."""
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        channel.set_inheritable(False)
        protocol.send_ready(channel)
        worker = Worker()
        while serve(worker, channel):
            pass


def serve(worker: "Worker", channel: socket.socket) -> bool:
    """Answer one request; return whether there may be another."""
    try:
        operation, arguments, answer = protocol.receive_request(channel)
    except EOFError:
        return False
    try:
        protocol.send_value(channel, answer, worker.do(operation, arguments))
    except ToolError as error:
        protocol.send_error(channel, answer, error)
    except WireError as error:
        protocol.send_error(channel, answer, ToolCrashedError(f"its result cannot be sent: {error}"))
    finally:
        os.close(answer)
    return True


class Worker:
    """One expert, from its start to its calls."""

    _tool: Tool
    _call: Any

    def do(self, operation: Operation, arguments: Any) -> object:  # noqa: ANN401 - each has its own
        """Do what is asked.

        Raises:
            ToolError: If the expert raised anything, or cannot be imported or loaded.
            WireError: If what it describes is not plain.
        """
        work: Mapping[Operation, Callable[..., object]] = {
            Operation.START: self._start,
            Operation.DESCRIBE: self._describe,
            Operation.LOAD: self._load,
            Operation.CALL: self._single,
            Operation.BATCH: self._batch,
        }
        return work[operation](**arguments)

    def _start(self, target: str, memory_bytes: int | None, gpu_devices: Sequence[str]) -> None:
        """Go behind the last walls, and import the expert.

        Args:
            target: ``module:name`` of the function or class.
            memory_bytes: Address space it may take beyond what is mapped now; None = whatever it wants, since
                drivers of GPUs map far more than they use.
            gpu_devices: Device nodes it may use.
        """
        limit_resources(memory_bytes)
        if landlock.abi_version():
            landlock.restrict(readable=["/"], writable=[*_WRITABLE, *gpu_devices])
        seccomp.install_deny_list()
        module, _, name = target.partition(":")
        try:
            self._tool = tool_of(getattr(importlib.import_module(module), name))
        except BaseException as error:  # a stranger's module may raise anything, exits included
            raise ToolUnavailableError(f"{target} cannot be imported ({_told(error)})") from error

    def _describe(self) -> dict[str, Json]:
        try:
            return described(self._tool)
        except Exception as error:  # its annotations and docstring are the stranger's
            raise ToolUnavailableError(f"{self._tool.name} cannot be described ({_told(error)})") from error

    def _load(self, weights: str | None, device: str) -> None:
        try:
            # Read now, or the first call would wait for it.
            _ = self._tool.spec
            self._call = self._tool.build(Path(weights) if weights else None)
            if self._tool.has_state:
                self._call.load(device)
        except BaseException as error:
            if isinstance(error, ToolUnavailableError):
                raise
            raise ToolUnavailableError(
                f"{self._tool.name} cannot be loaded ({_told(error)}); choose another tool"
            ) from error

    def _single(self, arguments: Mapping[str, Any]) -> object:
        checked = self._checked(arguments)
        try:
            return self._call(**checked)
        except BaseException as error:
            raise self._tool_error(error) from error

    def _batch(self, calls: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
        checked = [self._checked(arguments) for arguments in calls]
        try:
            values = list(self._call.batch(checked))
        except BaseException as error:
            raise self._tool_error(error) from error
        return [self._one_of_batch(value) for value in values]

    def _one_of_batch(self, value: object) -> dict[str, object]:
        if isinstance(value, BaseException):
            name, message = protocol.spelt(self._tool_error(value))
            return {"error": name, "message": message}
        return {"value": value}

    def _checked(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        references = self._tool.references
        plain = {name: value for name, value in arguments.items() if name not in references}
        return self._tool.arguments(plain) | {
            name: value for name, value in arguments.items() if name in references
        }

    def _tool_error(self, error: BaseException) -> ToolError:
        if isinstance(error, MemoryError):
            return ToolCrashedError("it ran out of memory")
        if isinstance(error, Exception) and _speaks(error):
            return as_tool_error(self._tool.name, error)
        return as_tool_error(self._tool.name, RuntimeError(f"a {type(error).__name__}"))


def limit_resources(memory_bytes: int | None) -> None:
    """Limit the calling process for good; arguments are those of the start."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_NOFILE: MOST_FILES,
        resource.RLIMIT_NPROC: MOST_TASKS,
        _RLIMIT_MSGQUEUE: 0,
        _RLIMIT_SIGPENDING: MOST_TASKS,
    }
    if memory_bytes is not None:
        limits[resource.RLIMIT_AS] = _mapped_bytes() + memory_bytes
    for kind, limit in limits.items():
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))


def _mapped_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if _speaks(error) else type(error).__name__


def _speaks(error: BaseException) -> bool:
    try:
        return isinstance(str(error), str)
    except Exception:
        return False


if __name__ == "__main__":
    main()
