"""The commands about tools: which there are."""

from typing import Annotated

import typer

from spatial_agent.services.cli_errors import reported_errors

tools_app = typer.Typer(help="What can be measured.", no_args_is_help=True)


@tools_app.command("list")
def tools_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print whole specifications as JSON.")] = False,
) -> None:
    """List every installed expert and skill."""
    from spatial_agent.services import console

    with reported_errors():
        from spatial_agent.tools.registry import Registry

        registry = Registry.from_entry_points()
        specs = [registry.get(name).spec for name in registry]
    console.print_tools(specs, as_json=as_json)
