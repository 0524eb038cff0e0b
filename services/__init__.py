"""The doors: Python, command line; importing this loads nothing heavy."""

if __name__ != "spatial_agent.services":
    raise ImportError(f"import spatial_agent.services, not {__name__}")

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from spatial_agent.agent.agent import SpatialAgent
    from spatial_agent.agent.models.chat import ChatModel
    from spatial_agent.agent.state import Budget
    from spatial_agent.prompts.spatial import PartName
    from spatial_agent.tools.metering import Meter

__all__ = ["open_agent"]


def open_agent(
    profile: str = "recorded",
    *,
    instances: "str | None" = None,
    weights: "str | Path | None" = None,
    look_for: "Sequence[str]" = (),
    camera_height_m: "float | None" = None,
    runner: str = "local",
    address: "str | None" = None,
    model: "str | ChatModel | None" = None,
    interface: str = "tools",
    parts: "Collection[PartName] | None" = None,
    budget: "Budget | None" = None,
    meter: "Meter | None" = None,
) -> "SpatialAgent":
    """Open an agent that answers questions about scenes.

    Args:
        profile: ``"recorded"`` takes depth, poses and instances from the scan; ``"open"`` finds
            instances with permissively licensed weights, and depth where a picture has none; ``"best"``
            takes the strongest experts whose weights are on this machine.
        instances: Overrides how objects are found: ``"recorded"``, ``"yolox"``, ``"grounding-dino"``,
            ``"owlv2"``, ``"sam3"``, or ``"yolo"``, ``"yoloe"``, ``"yolo-world"`` (AGPL-3.0).
        weights: Weights of its detector, where they are not in the weights folder.
        look_for: What detectors that have to be told look for, instead of the usual things in a room.
        camera_height_m: Height of a photograph's camera above the floor, where known, metres: it settles the
            scale of estimated depth.
        runner: Where experts run: ``"local"``, in this process, or ``"ray"``, as actors.
        address: A Ray cluster to join; one is started on this machine where left out.
        model: Who reads questions, chooses what to measure and answers: ``"openai:NAME@URL"`` (a server that
            speaks OpenAI's chat protocol), ``"hf:NAME"`` (transformers, in this process),
            ``"scripted:FILE"``, an opened `ChatModel`, or ``"none"``: the grammar reads and the evidence
            answers. Left out, the setting ``SPATIAL_AGENT_MODEL`` decides.
        interface: How the model acts: ``"tools"`` calls experts, ``"code"`` writes programs that do, in the
            sandbox; ``"single-pass"`` answers at once, for comparison.
        parts: Parts of the structured prompt that are in use (`spatial_agent.prompts.spatial.PartName`); all
            where left out.
        budget: What one run may use.
        meter: Where numbers about the running service go, such as
            `spatial_agent.services.metrics.PrometheusMeter`.

    Raises:
        ConfigurationError: If a choice is unknown or lacks what it needs.
    """
    from pathlib import Path

    from spatial_agent.services.runtime import Choices, build_agent

    choices = Choices(
        profile=profile,
        instances=instances,
        weights=None if weights is None else Path(weights),
        look_for=tuple(look_for),
        camera_height_m=camera_height_m,
        runner=runner,
        address=address,
        model=model,
        interface=interface,
        parts=None if parts is None else frozenset(parts),
        budget=budget,
    )
    return build_agent(choices, meter=meter)
