"""Which turns to take."""

from collections.abc import Sequence
from typing import Literal

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.geometry.direction import Sector
from spatial_agent.tools.geometry.measuring import measure_direction
from spatial_agent.tools.geometry.route import route_turns
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import SceneMap, SceneObject
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import the

TURNS = {"left": "turn left", "right": "turn right", "back": "turn back"}


@skill("route")
def route(
    scene: SceneMap,
    at: str,
    facing: str,
    stops: list[str],
    asked: list[bool],
    definition: Literal["plain", "vsi"] = "plain",
) -> Finding:
    """Say which way to turn before each leg of a route.

    Args:
        scene: The scene.
        at: Where the route starts.
        facing: What the walker faces at the start.
        stops: Where each leg ends, in order.
        asked: For each leg, whether the turn before it is wanted.
        definition: "vsi" names the benchmark's operator.
    """
    scene.require_up("left and right")
    if len(asked) != len(stops) or not any(asked):
        raise ToolFailedError("route: expected one yes or no for each stop, at least one yes")
    start, faced, *ends = (
        resolve_one(scene, phrase, exact_label=definition == "vsi") for phrase in (at, facing, *stops)
    )
    places = [item.box.centre_m[:2] for item in (start, *ends)]
    before = 2 * places[0] - faced.box.centre_m[:2]
    turns = route_turns([before, *places])
    wanted = [turn for turn, want in zip(turns, asked, strict=True) if want]
    margins = _margins(scene, start, faced, ends)
    items = (start, faced, *ends)
    steps = [
        f"{f'{TURNS[turn.name]} ({turn.degrees:+.0f}°), ' if want else ''}go to {the(scene, end)}"
        for turn, end, want in zip(turns, ends, asked, strict=True)
    ]
    return Finding(
        claim=f"From {the(scene, start)}, facing {the(scene, faced)}: {'; '.join(steps)}.",
        value=[TURNS[turn.name] for turn in wanted],
        definition="vsi.route_planning" if definition == "vsi" else "route",
        borderline=_borderline(turns, margins, asked),
        objects=tuple(item.id for item in items),
        details={"turns_deg": [turn.degrees for turn in turns]},
        marks=(
            {
                "kind": "path",
                "points_m": [[*map(float, place), 0.0] for place in places],
                "towards_m": faced.box.centre_m.tolist(),
                "label": " - ".join(turn.name for turn in turns),
            },
        ),
    )


def _margins(
    scene: SceneMap, start: SceneObject, faced: SceneObject, ends: Sequence[SceneObject]
) -> list[float]:
    corners = zip((start, *ends), (faced, start, *ends), ends, strict=False)
    return [measure_direction(scene, at, behind, to).margin or 0.0 for at, behind, to in corners]


def _borderline(turns: Sequence[Sector], margins: Sequence[float], asked: Sequence[bool]) -> str | None:
    close = [
        (turn, margin)
        for turn, margin, want in zip(turns, margins, asked, strict=True)
        if want and turn.to_boundary_deg < margin
    ]
    if not close:
        return None
    turn, margin = min(close, key=lambda pair: pair[0].to_boundary_deg)
    return (
        f"close: the turn of {turn.degrees:.0f}° is {turn.to_boundary_deg:.0f}° from "
        f"{TURNS[turn.runner_up]}, with a margin of {margin:.0f}°"
    )
