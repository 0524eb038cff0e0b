"""The commands about tools: which there are, a new one, and whether one does what it must."""

import json
from pathlib import Path
from typing import Annotated

import typer

from spatial_agent.services.cli_errors import Exit, reported_errors

tools_app = typer.Typer(help="What can be measured, and adding to it.", no_args_is_help=True)


@tools_app.command("list")
def tools_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print whole specifications as JSON.")] = False,
) -> None:
    """List every installed expert and skill, whether it runs isolated, and which cannot be used."""
    from spatial_agent.services import console

    with reported_errors():
        from spatial_agent.services.tools_here import installed_tools

        registry = installed_tools()
    console.print_tools([registry.get(name) for name in registry], registry.left_out, as_json=as_json)


@tools_app.command("new")
def tools_new(
    name: Annotated[str, typer.Argument(help="Name of the expert: capability or capability.backend.")],
    folder: Annotated[Path, typer.Option(help="Where the distribution's folder is made.")] = Path(),
) -> None:
    """Write a working expert to start from, with its metadata and its test."""
    with reported_errors():
        from spatial_agent.services.scaffold import new_expert

        files = new_expert(name, folder)
    for file in files:
        print(file)
    print(f"now: pip install -e {files[0].parent} && spatial-agent tools check {name}")


@tools_app.command("check")
def tools_check(
    name: Annotated[str, typer.Argument(help="Name of an installed expert or skill.")],
    weights: Annotated[
        str | None, typer.Option(help="Name of the weights to use; the tool's default where left out.")
    ] = None,
    arguments: Annotated[str, typer.Option(help="Plain arguments of the ordinary call, as JSON.")] = "{}",
    device: Annotated[str, typer.Option(help="Where networks run, such as cuda:0.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check that an expert does what every expert must: schema, units, hostile inputs, time, memory."""
    from spatial_agent.services import console

    with reported_errors():
        from spatial_agent.services.model_store import ModelStore
        from spatial_agent.services.settings import Settings
        from spatial_agent.services.tools_here import installed_tools
        from spatial_agent.tools.conformance import check_expert, failures

        settings = Settings()
        tool = installed_tools(settings).get(name)
        store = ModelStore.of(settings)
        path = store.locate(tool.named_weights(weights)) if tool.weights else None
        report = check_expert(tool, weights=path, arguments=_parsed(arguments), device=device)
    console.print_conformance(name, report, as_json=as_json)
    if failures(report):
        raise typer.Exit(Exit.EXPERT_FAILED)


def _parsed(arguments: str) -> dict[str, object]:
    from spatial_agent.tools.errors import ConfigurationError

    try:
        parsed = json.loads(arguments)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"--arguments: expected JSON, got {arguments!r} ({error})") from None
    if not isinstance(parsed, dict):
        raise ConfigurationError(f"--arguments: expected a JSON object of arguments, got {arguments!r}")
    return parsed
