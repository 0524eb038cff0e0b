"""The command that serves the API."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatial_agent.services.cli_errors import reported_errors

if TYPE_CHECKING:
    from spatial_agent.services.api.config import ServiceConfig
    from spatial_agent.services.api.service import Service

#: Objects that come between looks for garbage: a question makes about a thousand.
GARBAGE_AFTER = 20_000


def serve_command(
    config: Annotated[
        Path | None, typer.Option("--config", help="The configuration (.toml); options override its fields.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 if left out.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port to listen on; 8080 if left out, 0 for any free one."),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(help="Which experts can be asked for; repeat for each, the default one first."),
    ] = None,
    runner: Annotated[str | None, typer.Option(help="Where experts run: local or ray.")] = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster to join.")] = None,
    model: Annotated[str | None, typer.Option(help="Who reads, plans and answers; see `ask --help`.")] = None,
    interface: Annotated[
        str | None, typer.Option(help="How the model acts: tools, code or single-pass.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where scenes, jobs and keys are kept.")] = None,
    keys_required: Annotated[
        bool | None,
        typer.Option(
            "--keys-required/--no-keys",
            help="Whether requests need an API key; by default wherever it listens beyond this machine.",
        ),
    ] = None,
    log: Annotated[str | None, typer.Option(help="How requests are logged: json or text.")] = None,
) -> None:
    """Serve the REST API, the chat endpoint and the web page until it is told to stop.

    The first signal (Ctrl+C, SIGTERM) lets running questions finish; a second Ctrl+C does not wait.
    """
    with reported_errors():
        from spatial_agent.services.api.config import read_config

        chosen = read_config(
            config,
            host=host,
            port=port,
            profiles=profile or None,
            runner=runner,
            address=address,
            model=model,
            interface=interface,
            folder=folder,
            keys_required=keys_required,
            log=log,
        )
        _serve(chosen)


def _serve(config: "ServiceConfig") -> None:
    import signal
    from contextlib import suppress

    from spatial_agent.services.api.app import create_app
    from spatial_agent.services.api.logs import log_to_stderr
    from spatial_agent.services.api.server import ApiServer, address_of, listening_socket
    from spatial_agent.services.open_service import open_service
    from spatial_agent.services.settings import Settings

    log_to_stderr(config.log)
    service = open_service(config, Settings())
    with suppress(KeyboardInterrupt):
        try:
            check_keys(service)
            listening = listening_socket(config.host, config.port)
        except BaseException:
            service.store.close()
            raise
        # Uvicorn raises the signal again once it has ended; that is no crash.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        url = address_of(listening)

        def started() -> None:
            _keep_what_is_there()
            print(f"serving at {url} (Ctrl+C to stop)", flush=True)

        ApiServer(create_app(service), service, started).run(sockets=[listening])


def _keep_what_is_there() -> None:
    """Have garbage looked for among what comes from now on, and less often: what the start made stays."""
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)


def check_keys(service: "Service") -> None:
    """Refuse to listen beyond this machine where nobody has said who may come in.

    Raises:
        ConfigurationError: If the service needs keys because of where it listens, and has none.
    """
    from spatial_agent.tools.errors import ConfigurationError

    config = service.config
    if config.keys_required is not None or not config.needs_keys:
        if not config.needs_keys and config.beyond_this_machine:
            print("warning: everybody who can reach this service may use it (--no-keys)", file=sys.stderr)
        return
    if not any(key.revoked is None for key in service.store.keys.listed()):
        raise ConfigurationError(
            f"{config.host} can be reached from other machines, and there is no API key yet: make one with "
            "'spatial-agent keys create NAME', or say --keys-required (keys come later) or --no-keys"
        )
