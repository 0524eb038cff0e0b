"""Options that several commands have, and the agent they describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spatial_agent.agent.agent import SpatialAgent

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


def opened(
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
    """Open the agent that the options of a command describe."""
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
