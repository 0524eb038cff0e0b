"""The commands about weights: which there are, fetching them, checking them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatial_agent.services.cli_errors import Exit, reported_errors

if TYPE_CHECKING:
    from spatial_agent.services.model_store import ModelStore
    from spatial_agent.tools.contract import Weights

models_app = typer.Typer(help="Weights of the networks.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@models_app.command("list")
def models_list(as_json: JsonOption = False) -> None:
    """List all weights: who uses them, under which licence, and whether they are here."""
    from spatial_agent.services import console

    with reported_errors():
        from spatial_agent.services.weights_overview import overview

        store = _store()
        found = overview(store)
    console.print_weights(found, store.folder, as_json=as_json)


@models_app.command("pull")
def models_pull(
    names: Annotated[list[str], typer.Argument(help="Names that `models list` shows.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder to copy from instead of asking the hub.")
    ] = None,
) -> None:
    """Fetch weights whole, check them, and pin what came; an interrupted pull goes on where it was."""
    from spatial_agent.services import console

    with reported_errors(), console.progress(quiet=False):
        store = _store()
        for weights in _named(names):
            print(f"{weights.name}: {weights.source}, licence {weights.licence}", file=sys.stderr)
            print(store.pull(weights, source=source))


@models_app.command("verify")
def models_verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names; all that are here where left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read weights again and compare each file with its pinned or declared digest."""
    from spatial_agent.services import console

    with reported_errors(), console.progress(quiet=as_json):
        store = _store()
        chosen = _named(names or ())
        if not names:
            chosen = [weights for weights in chosen if store.state(weights) != "missing"]
        checked = {weights.name: store.verify(weights) for weights in chosen}
    console.print_checked_weights(checked, as_json=as_json)
    if any(state in ("changed", "missing") for files in checked.values() for state in files.values()):
        raise typer.Exit(Exit.BAD_INPUT)


def _store() -> "ModelStore":
    from spatial_agent.services.model_store import ModelStore
    from spatial_agent.services.settings import Settings

    return ModelStore.of(Settings())


def _named(names: "list[str] | tuple[str, ...]") -> "list[Weights]":
    from spatial_agent.services.weights_overview import all_weights, weights_named

    return [weights_named(name) for name in names] if names else list(all_weights().values())
