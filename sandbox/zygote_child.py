"""A child of the zygote: it gets ready, waits for its order, goes behind its walls, serves one session."""

import json
import os
import random
import socket
from typing import NoReturn

import numpy as np

from spatial_agent.sandbox import messages, worker
from spatial_agent.sandbox.enclosure import enclose, withdraw
from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.kernel import privileges
from spatial_agent.sandbox.messages import NOT_ENCLOSED, READ_FD, WRITE_FD
from spatial_agent.sandbox.policy import SandboxPolicy

#: Longest order, in bytes; one is a policy's few numbers.
ORDER_BYTES = 16_384


def become_child(line: socket.socket, layers: frozenset[Layer], mapped: int) -> NoReturn:
    """Turn a process that was just forked into the process of a session; never returns.

    Args:
        line: Where the order comes from: limits as JSON, and the two pipes. If its other side is closed
            before, nobody needs this process.
        layers: The walls that go up.
        mapped: Bytes of address space it started with.
    """
    try:
        os.setsid()
        privileges.die_with_parent()
        privileges.keep_only({line.fileno()})
        withdraw(layers)
        _rehearse()
        # What was forked would give every program the same numbers.
        random.seed()
        np.random.seed()
        order, descriptors, _, _ = socket.recv_fds(line, ORDER_BYTES, 2)
        if not order:
            os._exit(0)
        worker.take_pipes(*descriptors)
        enclose(SandboxPolicy(**json.loads(order)), layers, mapped, READ_FD, WRITE_FD)
    except BaseException:
        os._exit(NOT_ENCLOSED)
    worker.serve_to_end()


def _rehearse() -> None:
    """Serve an empty session once, so that the memory it needs is this process's own when it counts."""
    setup = messages.Setup((), {}, 0, messages.HEADROOM_BYTES, 0, True)
    from_parent, to_child = os.pipe()
    from_child, to_parent = os.pipe()
    os.write(to_child, messages.to_child(setup) + messages.to_child(messages.Cell("0")))
    os.close(to_child)
    worker.serve(worker.Channel(from_parent, to_parent, 2 * messages.HEADROOM_BYTES))
    for descriptor in (from_parent, from_child, to_parent):
        os.close(descriptor)
