"""The commands about API keys: making, listing, rotating and revoking them."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spatial_agent.services.cli_errors import reported_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spatial_agent.services.store.records import Allowance, KeyRecord, Scope
    from spatial_agent.services.store.store import Store

keys_app = typer.Typer(help="API keys of the service.", no_args_is_help=True)
DAY_S = 86_400.0
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The service's configuration (.toml); it says where keys are.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
KeyArgument = Annotated[str, typer.Argument(help="Id of the key, which `keys list` shows.")]


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What to call it, such as who gets it.")],
    tenant: Annotated[
        str, typer.Option(help="Whose scenes and questions it sees; keys of one tenant see the same.")
    ] = "default",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do: read, ask, upload, tools, metrics; repeat for each. All but metrics."
        ),
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0.001, help="Days until it expires; never if left out.")
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="Requests a minute.")] = None,
    questions_per_day: Annotated[int | None, typer.Option(min=0, help="Questions a day (UTC).")] = None,
    queued: Annotated[int | None, typer.Option(min=1, help="Questions that wait or run at a time.")] = None,
    stored_gb: Annotated[float | None, typer.Option(min=0.0, help="What its scenes may take, GiB.")] = None,
    priority: Annotated[int | None, typer.Option(min=-100, max=100, help="The highest priority.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it: it is shown this once and cannot be found again."""
    with reported_errors():
        allowance = _allowance(requests_per_minute, questions_per_day, queued, stored_gb, priority)
        expires = None if days is None else time.time() + days * DAY_S
        with _store(config) as store:
            record, token = store.keys.create(tenant, name, _scopes(scope), allowance, expires=expires)
    _print_token(record, token, as_json=as_json)


@keys_app.command("list")
def keys_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List all keys, without their secrets."""
    with reported_errors(), _store(config) as store:
        records = store.keys.listed()
    if as_json:
        print(json.dumps([_plain(record) for record in records], indent=2))
    else:
        _print_keys(records)


@keys_app.command("rotate")
def keys_rotate(
    key: KeyArgument,
    overlap_hours: Annotated[
        float, typer.Option(min=0.0, help="Hours for which the secret so far is still taken.")
    ] = 0.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a key another secret and print it."""
    with reported_errors(), _store(config) as store:
        record, token = store.keys.rotate(key, overlap_hours * 3600.0)
    _print_token(record, token, as_json=as_json)


@keys_app.command("revoke")
def keys_revoke(key: KeyArgument, config: ConfigOption = None) -> None:
    """End a key for good; what its tenant has stays."""
    from spatial_agent.tools.errors import ConfigurationError

    with reported_errors(), _store(config) as store:
        if not store.keys.revoke(key):
            raise ConfigurationError(
                f"no key {key!r} that could be revoked; 'spatial-agent keys list' shows all"
            )
    print(f"revoked {key}")


@contextmanager
def _store(config: Path | None) -> "Iterator[Store]":
    from spatial_agent.services.api.config import read_config
    from spatial_agent.services.open_service import open_store
    from spatial_agent.services.settings import Settings

    store = open_store(Settings(), read_config(config).folder)
    try:
        yield store
    finally:
        store.close()


def _scopes(given: list[str] | None) -> "frozenset[Scope]":
    from spatial_agent.services.store.records import SCOPES
    from spatial_agent.tools.errors import ConfigurationError

    known = {str(scope): scope for scope in SCOPES}
    unknown = [scope for scope in given or () if scope not in known]
    if unknown:
        raise ConfigurationError(f"--scope: expected {', '.join(known)}, got {', '.join(unknown)}")
    return frozenset(known[scope] for scope in given or [scope for scope in known if scope != "metrics"])


def _allowance(
    requests_per_minute: int | None,
    questions_per_day: int | None,
    queued: int | None,
    stored_gb: float | None,
    priority: int | None,
) -> "Allowance":
    from dataclasses import replace

    from spatial_agent.services.store.records import Allowance

    given = {
        "requests_per_minute": requests_per_minute,
        "questions_per_day": questions_per_day,
        "queued": queued,
        "stored_bytes": None if stored_gb is None else int(stored_gb * 2**30),
        "priority": priority,
    }
    return replace(Allowance(), **{name: value for name, value in given.items() if value is not None})


def _print_token(record: "KeyRecord", token: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_plain(record) | {"key": token}))
        return
    print(token)
    print(f"key {record.id} of tenant {record.tenant}; keep it: it cannot be shown again", file=sys.stderr)


def _plain(record: "KeyRecord") -> dict[str, Any]:
    return asdict(record) | {"scopes": sorted(record.scopes)}


def _print_keys(records: "Sequence[KeyRecord]") -> None:
    from rich.table import Table

    from spatial_agent.services.console import out, shown

    table = Table()
    for column in ("id", "tenant", "name", "scopes", "a minute", "a day", "made", "state"):
        table.add_column(column, overflow="fold")
    for record in records:
        allowance = record.allowance
        table.add_row(
            record.id,
            shown(record.tenant),
            shown(record.name),
            ", ".join(sorted(record.scopes)),
            str(allowance.requests_per_minute),
            str(allowance.questions_per_day),
            _day(record.created),
            _state(record),
        )
    out.print(table)


def _state(record: "KeyRecord") -> str:
    if record.revoked is not None:
        return f"revoked {_day(record.revoked)}"
    if record.expires is None:
        return "valid"
    return f"{'expired' if record.expires <= time.time() else 'until'} {_day(record.expires)}"


def _day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(when))
