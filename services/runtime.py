"""What is wired to what: the one place where an agent is put together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.planner.planning import GrammarPlanner
from spatial_agent.services.scenes import SceneStore
from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.experts.scene_map import Instances, open_segmenter
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.mapping.cache import SceneCache
from spatial_agent.tools.registry import Registry

Profile = Literal["recorded", "open"]
YOLO_PATTERN = "yolo*-seg*"


@dataclass(frozen=True)
class Perception:
    """What measures a scene.

    Attributes:
        instances: Where object masks come from.
        weights: Weights file, or None.
        licences: Licences it brings in, one sentence each.
        identity: Decides, with the source's content, which cached scene is the same.
    """

    instances: Instances
    weights: str | None
    licences: tuple[str, ...]
    identity: str


def choose_perception(
    profile: str, instances: str | None, weights: str | Path | None, settings: Settings
) -> Perception:
    """Return what a profile measures scenes with.

    Args:
        profile: ``"recorded"`` or ``"open"``.
        instances: Overrides the profile's source of object masks.
        weights: Weights file; looked for in the weights folder where left out.
        settings: The installation.

    Raises:
        ConfigurationError: If the profile is unknown, or has nothing to find objects with.
    """
    if profile not in get_args(Profile):
        raise ConfigurationError(f"unknown profile {profile!r}; expected {' or '.join(get_args(Profile))}")
    chosen = cast("Instances | None", instances or ("recorded" if profile == "recorded" else None))
    if chosen is None:
        raise ConfigurationError(
            "profile 'open' has no permissively licensed instance segmenter yet; choose one with "
            "--instances yolo (its licence, AGPL-3.0, is printed) or --instances recorded"
        )
    if chosen not in get_args(Instances):
        raise ConfigurationError(f"unknown instances {chosen!r}; expected {' or '.join(get_args(Instances))}")
    file = _yolo_weights(weights, settings) if chosen == "yolo" else None
    segmenter = open_segmenter(chosen, file)
    return Perception(chosen, file, tuple(segmenter.licences), f"{segmenter.name}/{segmenter.version}")


def build_agent(
    profile: str = "recorded",
    *,
    instances: str | None = None,
    weights: str | Path | None = None,
    settings: Settings | None = None,
) -> SpatialAgent:
    """Put an agent together; see `spatial_agent.services.open_agent`."""
    from spatial_agent.tools.media import open_source

    settings = settings or Settings()
    perception = choose_perception(profile, instances, weights, settings)
    registry = Registry.from_entry_points()
    scenes = SceneStore(
        SceneCache(settings.scenes_folder, settings.cache_limit_mb * 2**20),
        {"instances": perception.instances, "weights": perception.weights},
        perception.identity,
        open_source,
    )
    return SpatialAgent(
        scenes=scenes,
        make_runner=lambda: LocalRunner(registry),
        planner=GrammarPlanner(),
        runs_folder=settings.runs_folder,
    )


def _yolo_weights(given: str | Path | None, settings: Settings) -> str:
    if given is not None:
        return str(given)
    folder = settings.weights_folder
    found = sorted(folder.glob(YOLO_PATTERN)) if folder else []
    if len(found) != 1:
        where = (
            f"{folder} holds {len(found)} files like {YOLO_PATTERN}" if folder else "no weights folder is set"
        )
        raise ConfigurationError(
            f"instances 'yolo' needs one weights file, and {where}; give --weights FILE or set "
            "SPATIAL_AGENT_WEIGHTS to a folder with one"
        )
    return str(found[0])
