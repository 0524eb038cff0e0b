"""What a proxy and the process of its expert say to each other, over a socket that keeps packets apart.

A request is one packet: the size of its payload, and two descriptors, of the file that holds it and of an
empty one for the answer. An answer is one packet: the size of what was written into that file. The process
is never asked to open or to make anything, and nothing it sends is anything but a number and a payload.

A request's payload is ``(operation, arguments)``. An answer's is ``("value", value)``, or
``("error", name, message)`` with the name of a class of `spatial_agent.tools.errors`.
"""

import array
import inspect
import os
import socket
import struct
from collections.abc import Sequence
from enum import StrEnum
from types import MappingProxyType

from spatial_agent.sandbox.isolation.memory_file import contents, empty_file, seal, sealed_file, write_parts
from spatial_agent.sandbox.wire import pack, unpack
from spatial_agent.tools import errors
from spatial_agent.tools.errors import ToolCrashedError, ToolError, WireError
from spatial_agent.tools.value_file import VALUE_CLASSES

#: Largest payload of a request and of an answer, bytes.
REQUEST_BYTES, ANSWER_BYTES = 2**30, 2**29
#: Characters of an error's message.
MESSAGE_CHARACTERS = 2000
_REQUEST, _ANSWER = struct.Struct("<Q"), struct.Struct("<Q")
_CREDENTIALS = struct.Struct("3i")
#: Errors an expert can raise in its caller, by name.
TOOL_ERRORS = MappingProxyType(
    {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ToolError)}
)


class Operation(StrEnum):
    """What the process of an expert is asked to do."""

    START = "start"
    DESCRIBE = "describe"
    LOAD = "load"
    CALL = "call"
    BATCH = "batch"


def send_request(channel: socket.socket, operation: Operation, arguments: object) -> int:
    """Send a request and return the descriptor of the file its answer will be in.

    Raises:
        WireError: If the arguments are no values, or too much.
        OSError: If nobody is there to take it.
    """
    parts = pack((str(operation), arguments), VALUE_CLASSES)
    request = sealed_file(parts)
    try:
        size = os.fstat(request).st_size
        if size > REQUEST_BYTES:
            raise WireError(f"request: expected at most {REQUEST_BYTES} bytes, got {size}; give it less")
        answer = empty_file(ANSWER_BYTES)
        try:
            passed = array.array("i", [request, answer])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)]
            channel.sendmsg([_REQUEST.pack(size)], rights, socket.MSG_DONTWAIT)
        except BaseException:
            os.close(answer)
            raise
    finally:
        os.close(request)
    return answer


def receive_answer(channel: socket.socket, answer: int) -> object:
    """Return the value of an answer that has come; its arrays are read-only and nobody can change them.

    Args:
        channel: Where it comes from; it blocks until it does.
        answer: The file it is in; closed in any case.

    Raises:
        ToolError: If the expert raised it.
        WireError: If it is none, or a value of no known class.
        EOFError: If there is nobody to answer.
    """
    try:
        packet = channel.recv(_ANSWER.size + 1)
        if not packet:
            raise EOFError("nobody is there to answer")
        if len(packet) != _ANSWER.size:
            raise WireError(f"answer: expected {_ANSWER.size} bytes, got others")
        [size] = _ANSWER.unpack(packet)
        if not 0 < size <= ANSWER_BYTES:
            raise WireError(f"answer: expected 1 to {ANSWER_BYTES} bytes, {size} are announced")
        seal(answer, size)
        return _value(unpack(contents(answer, size), VALUE_CLASSES))
    finally:
        os.close(answer)


def receive_request(channel: socket.socket) -> tuple[Operation, object, int]:
    """Wait for a request; return what to do, with what, and the file its answer goes into.

    Raises:
        EOFError: If nobody will send any more.
        WireError: If it is no request.
    """
    packet, (request, answer) = _packet_with_files(channel)
    try:
        [size] = _REQUEST.unpack(packet)
        match unpack(contents(request, size), VALUE_CLASSES):
            case (str() as operation, arguments):
                return Operation(operation), arguments, answer
            case _:
                raise WireError("request: expected an operation and its arguments")
    finally:
        os.close(request)


def send_value(channel: socket.socket, answer: int, value: object) -> None:
    """Answer with a value.

    Raises:
        WireError: If it is none, or too large; nothing was sent then.
    """
    _send(channel, answer, ("value", value))


def send_error(channel: socket.socket, answer: int, error: ToolError) -> None:
    """Answer with an error."""
    _send(channel, answer, ("error", *spelt(error)))


def spelt(error: ToolError) -> tuple[str, str]:
    """Return an error as the name of the nearest class everybody knows, and its message."""
    name = next(kind.__name__ for kind in type(error).__mro__ if TOOL_ERRORS.get(kind.__name__) is kind)
    return name, printable(str(error))[:MESSAGE_CHARACTERS]


def raised(name: object, message: object) -> ToolError:
    """Return the error that a name and a message stand for.

    Raises:
        WireError: If they stand for none.
    """
    if not isinstance(name, str) or name not in TOOL_ERRORS or not isinstance(message, str):
        raise WireError("answer: expected the name of an error and its message")
    if name == ToolCrashedError.__name__:
        raise WireError(f"it gave up: {printable(message)[:MESSAGE_CHARACTERS]}")
    return TOOL_ERRORS[name](printable(message)[:MESSAGE_CHARACTERS])


def printable(text: str) -> str:
    """Return a text without what would steer a terminal or hide what it says, and what UTF-8 has not."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)


def ask_for_sender(channel: socket.socket) -> None:
    """Have the kernel say of the next packets who sent them."""
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def receive_ready(channel: socket.socket) -> int:
    """Wait for the empty answer that says that a process has started; return its number, as seen from here.

    Raises:
        EOFError: If it ended before that.
        WireError: If it says anything else.
    """
    # There is room for nothing but the sender: descriptors that come along are closed by the kernel.
    packet, ancillary, *_ = channel.recvmsg(_ANSWER.size + 1, socket.CMSG_SPACE(_CREDENTIALS.size))
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    if not packet:
        raise EOFError("it ended before it was ready")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and packet == _ANSWER.pack(0):
            return int(_CREDENTIALS.unpack(data)[0])
    raise WireError("it did not say that it is ready")


def send_ready(channel: socket.socket) -> None:
    """Say that this process has started."""
    channel.send(_ANSWER.pack(0))


def _value(data: object) -> object:
    match data:
        case ("value", value):
            return value
        case ("error", name, message):
            raise raised(name, message)
        case _:
            raise WireError("answer: expected a value or an error")


def _send(channel: socket.socket, answer: int, content: Sequence[object]) -> None:
    channel.send(_ANSWER.pack(write_parts(answer, pack(tuple(content), VALUE_CLASSES))))


def _packet_with_files(channel: socket.socket) -> tuple[bytes, Sequence[int]]:
    packet, files, _, _ = socket.recv_fds(channel, _REQUEST.size, 2)
    if not packet:
        raise EOFError("nobody asks any more")
    if len(packet) != _REQUEST.size or len(files) != 2:
        raise WireError("request: expected its size and two files")
    return packet, files
