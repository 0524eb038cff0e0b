"""The command line: ask, run, scene, tools, models, trace, doctor. Heavy imports happen inside commands."""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatial_agent.services.cli_errors import Exit, reported_errors
from spatial_agent.services.cli_models import models_app
from spatial_agent.services.cli_programs import run_command
from spatial_agent.services.cli_regions import read_region
from spatial_agent.services.cli_tools import tools_app
from spatial_agent.tools.errors import SourceError

if TYPE_CHECKING:
    from spatial_agent.agent.agent import SpatialAgent

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
app.command("run")(run_command)

SourceArgument = Annotated[
    str, typer.Argument(help="A scan folder, scan.json, video, image, or a scene file (.json).")
]
ProfileOption = Annotated[
    str,
    typer.Option(
        help="recorded: the scan's own depth, poses and instances. open: permissively licensed experts. "
        "best: the strongest experts whose weights are here."
    ),
]
InstancesOption = Annotated[
    str | None,
    typer.Option(
        help="How objects are found: recorded, yolox, grounding-dino, owlv2, sam3, or (AGPL-3.0) yolo, "
        "yoloe, yolo-world."
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="Weights of the detector, where not in the weights folder.")
]
LookForOption = Annotated[
    list[str] | None,
    typer.Option(help="A kind of object to look for, for detectors that have to be told; repeat for each."),
]
CameraHeightOption = Annotated[
    float | None, typer.Option(help="Height of a photograph's camera above the floor, metres, where known.")
]
RunnerOption = Annotated[str, typer.Option(help="Where experts run: local (this process) or ray (actors).")]
AddressOption = Annotated[
    str | None, typer.Option(help="A Ray cluster to join; one is started here where left out.")
]


ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Who reads, plans and answers: openai:NAME@URL, hf:NAME, scripted:FILE or none; left out, the "
        "setting SPATIAL_AGENT_MODEL decides."
    ),
]
InterfaceOption = Annotated[
    str, typer.Option(help="How the model acts: tools, code (programs in the sandbox) or single-pass.")
]


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
        with _opened(*chosen, model, interface) as agent:
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
        with _opened(*chosen, model, interface) as agent:
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
        with _opened(*chosen) as agent:
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


def _opened(
    profile: str,
    instances: str | None,
    weights: Path | None,
    look_for: list[str] | None,
    camera_height: float | None,
    runner: str,
    address: str | None,
    model: str | None = "none",
    interface: str = "tools",
) -> "SpatialAgent":
    from spatial_agent.services import open_agent

    return open_agent(
        profile,
        instances=instances,
        weights=weights,
        look_for=look_for or (),
        camera_height_m=camera_height,
        runner=runner,
        address=address,
        model=model,
        interface=interface,
    )


def main() -> None:
    """Run the command line."""
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(Exit.INTERRUPTED)
