"""A real service for the length of a test or an example."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from spatial_agent.tools.errors import SpatialAgentError

if TYPE_CHECKING:
    from spatial_agent.services.api.config import ServiceConfig
    from spatial_agent.services.api.service import Service

#: Seconds that starting and ending may take.
PATIENCE_S = 120.0


@contextmanager
def serving(config: "ServiceConfig | None" = None, **overrides: Any) -> "Iterator[str]":  # noqa: ANN401 - fields
    """Serve on a free port of this machine, in a thread; yields the address, such as ``http://127.0.0.1:41234``.

    Everything it keeps is in a folder that is removed afterwards, unless the configuration names one.

    Args:
        config: How it is set up.
        overrides: Fields of the configuration to set otherwise.

    Raises:
        ConfigurationError: If it cannot be set up.
    """
    from spatial_agent.services.api.config import ServiceConfig

    chosen = (config or ServiceConfig()).model_dump() | {"port": 0} | overrides
    with TemporaryDirectory(prefix="spatial-agent-") as folder:
        chosen["folder"] = chosen["folder"] or Path(folder)
        with serving_in_thread(_opened(ServiceConfig.model_validate(chosen))) as url:
            yield url


@contextmanager
def serving_in_thread(service: "Service") -> "Iterator[str]":
    """Serve a service on a free port of this machine, in a thread; yields the address.

    Args:
        service: Is closed at the end.
    """
    from spatial_agent.services.api.app import create_app
    from spatial_agent.services.api.server import ApiServer, address_of, listening_socket

    listening = listening_socket(service.config.host, service.config.port)
    started = threading.Event()
    server = ApiServer(create_app(service), service, started.set)

    def serve() -> None:
        try:
            server.run(sockets=[listening])
        except SystemExit:
            server.should_exit = True
        finally:
            started.set()

    thread = threading.Thread(target=serve, name="spatial-agent-api", daemon=True)
    thread.start()
    try:
        started.wait(PATIENCE_S)
        if not server.started:
            raise SpatialAgentError("the service did not start; its log says why")
        yield address_of(listening)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listening.close()


def _opened(config: "ServiceConfig") -> "Service":
    from spatial_agent.services.open_service import open_service
    from spatial_agent.services.settings import Settings

    # Jobs of a test are nobody else's: they stay in its folder, whatever database this machine uses.
    return open_service(config, replace(Settings(), database=None))
