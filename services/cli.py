"""The command line; heavy imports happen inside commands."""

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from spatial_agent.services.cli_errors import Exit, reported_errors
from spatial_agent.services.cli_keys import keys_app
from spatial_agent.services.cli_mcp import mcp_command
from spatial_agent.services.cli_models import models_app
from spatial_agent.services.cli_options import (
    AddressOption,
    CameraHeightOption,
    InstancesOption,
    InterfaceOption,
    LookForOption,
    ModelOption,
    ProfileOption,
    RunnerOption,
    SourceArgument,
    WeightsOption,
    opened,
)
from spatial_agent.services.cli_programs import run_command
from spatial_agent.services.cli_regions import read_region
from spatial_agent.services.cli_serve import serve_command
from spatial_agent.services.cli_talking import chat_command, series_command
from spatial_agent.services.cli_tools import tools_app
from spatial_agent.tools.errors import SourceError

app = typer.Typer(
    help="Ask questions about a room and get measured answers, with a margin and the evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
scene_app = typer.Typer(help="Measure scenes and look at them.", no_args_is_help=True)
trace_app = typer.Typer(help="What happened in a run.", no_args_is_help=True)
app.add_typer(scene_app, name="scene")
app.add_typer(tools_app, name="tools")
app.add_typer(models_app, name="models")
app.add_typer(trace_app, name="trace")
app.add_typer(keys_app, name="keys")
app.command("serve")(serve_command)
app.command("mcp")(mcp_command)
app.command("run")(run_command)
app.command("series")(series_command)
app.command("chat")(chat_command)


@app.command()
def ask(
    source: SourceArgument,
    question: Annotated[str, typer.Argument(help="The question, in English.")],
    option: Annotated[
        list[str] | None, typer.Option(help="An answer offered, with or without letter; repeat for each.")
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="What <region 1>, <region 2> ... in the question are: FRAME:x,y or "
            "FRAME:left,top,right,bottom in pixels; repeat for each."
        ),
    ] = None,
    profile: ProfileOption = "recorded",
    instances: InstancesOption = None,
    weights: WeightsOption = None,
    look_for: LookForOption = None,
    camera_height: CameraHeightOption = None,
    runner: RunnerOption = "local",
    address: AddressOption = None,
    model: ModelOption = None,
    interface: InterfaceOption = "tools",
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Also write the trace of the run here (.jsonl).")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write a picture of the answer here (.png).")] = None,
) -> None:
    """Answer a question about a scene."""
    from spatial_agent.services import console

    with reported_errors(), console.progress(quiet=as_json):
        chosen = (profile, instances, weights, look_for, camera_height, runner, address)
        with opened(*chosen, model, interface) as agent:
            regions = [read_region(text) for text in region or ()]
            answer = agent.ask(source, question, options=option or (), regions=regions)
            if trace is not None:
                from spatial_agent.tools.whole_file import write_whole

                recorded = agent.trace_path(answer.trace_id)
                write_whole(trace, lambda partial: shutil.copyfile(recorded, partial))
            if picture is not None:
                from spatial_agent.services.pictures import write_answer_picture

                write_answer_picture(agent.scene(source), answer, picture)
    console.print_json(answer.to_json()) if as_json else console.print_answer(answer)
    console.print_licences(agent.licences)
    raise typer.Exit(Exit.ABSTAINED if answer.abstained else Exit.ANSWERED)


@app.command()
def resume(
    run: Annotated[str, typer.Argument(help="Id of a run that was interrupted.")],
    profile: ProfileOption = "recorded",
    instances: InstancesOption = None,
    weights: WeightsOption = None,
    look_for: LookForOption = None,
    camera_height: CameraHeightOption = None,
    runner: RunnerOption = "local",
    address: AddressOption = None,
    model: ModelOption = None,
    interface: InterfaceOption = "tools",
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
) -> None:
    """Finish an interrupted run from its last checkpoint."""
    from spatial_agent.services import console

    with reported_errors(), console.progress(quiet=as_json):
        chosen = (profile, instances, weights, look_for, camera_height, runner, address)
        with opened(*chosen, model, interface) as agent:
            answer = agent.resume(run)
    console.print_json(answer.to_json()) if as_json else console.print_answer(answer)
    raise typer.Exit(Exit.ABSTAINED if answer.abstained else Exit.ANSWERED)


@scene_app.command("build")
def scene_build(
    source: SourceArgument,
    out: Annotated[Path, typer.Option(help="Folder for scene.json, cloud.ply, scene.glb and map.png.")],
    profile: ProfileOption = "recorded",
    instances: InstancesOption = None,
    weights: WeightsOption = None,
    look_for: LookForOption = None,
    camera_height: CameraHeightOption = None,
    runner: RunnerOption = "local",
    address: AddressOption = None,
    mesh: Annotated[bool, typer.Option("--mesh", help="Also reconstruct the surfaces as mesh.ply.")] = False,
) -> None:
    """Measure a scene and write it in formats other programs read."""
    from spatial_agent.services import console

    with reported_errors(), console.progress(quiet=False):
        from spatial_agent.services.pictures import reconstructed, write_scene_folder

        chosen = (profile, instances, weights, look_for, camera_height, runner, address)
        with opened(*chosen) as agent:
            loaded = agent.scene(source)
            surfaces = reconstructed(loaded.frames) if mesh else None
            written = write_scene_folder(loaded, out, mesh=surfaces)
    console.print_scene(loaded.scene, written)
    console.print_licences(agent.licences)


@scene_app.command("schema")
def scene_schema() -> None:
    """Print the JSON schema of scene files."""
    from spatial_agent.tools.mapping.scene_file import scene_schema as schema

    print(json.dumps(schema(), indent=2))


@trace_app.command("show")
def trace_show(
    run: Annotated[str, typer.Argument(help="Id of a run, or a trace file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the raw steps.")] = False,
) -> None:
    """Show what happened in a run, step by step."""
    from spatial_agent.services import console

    with reported_errors():
        from spatial_agent.agent.trace import read_trace
        from spatial_agent.services.settings import Settings

        path = Path(run) if Path(run).is_file() else Settings().runs_folder / f"{Path(run).name}.jsonl"
        if not path.is_file():
            raise SourceError(f"no run {run!r}: expected a trace file, or the id that an answer carries")
        if as_json:
            print(path.read_text(encoding="utf-8"), end="")
        else:
            console.print_trace(list(read_trace(path)))


@app.command()
def doctor() -> None:
    """Say what is installed, what works and where things are kept."""
    from spatial_agent.services import console
    from spatial_agent.services.doctor import examine

    with reported_errors():
        findings = examine()
    console.print_findings(findings)
    if any(finding.status == "broken" for finding in findings):
        raise typer.Exit(Exit.EXPERT_FAILED)


def main() -> None:
    """Run the command line."""
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(Exit.INTERRUPTED)
