"""What is wired to what: the one place where an agent is put together."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.planner.planning import GrammarPlanner
from spatial_agent.services.model_store import ModelStore
from spatial_agent.services.perception import Perception, choose_perception, chosen_weights, given_weights
from spatial_agent.services.runners import make_runners
from spatial_agent.services.scenes import SceneStore
from spatial_agent.services.settings import Settings
from spatial_agent.services.tools_here import installed_tools
from spatial_agent.services.weights_here import WeightsHere
from spatial_agent.tools.mapping.cache import SceneCache
from spatial_agent.tools.metering import Meter
from spatial_agent.tools.registry import Registry


@dataclass(frozen=True)
class Choices:
    """What a user may choose about an agent.

    Attributes:
        profile: ``"recorded"``, ``"open"`` or ``"best"``.
        instances: Overrides the profile's first way to find objects.
        weights: Weights of its detector, where they are not in the weights folder.
        look_for: What prompted detectors look for instead of the usual things in a room.
        camera_height_m: Height of a photograph's camera above the floor, where known, metres.
        runner: Where experts run: ``"local"`` (this process) or ``"ray"`` (actors).
        address: A Ray cluster to join; one is started on this machine where left out.
    """

    profile: str = "recorded"
    instances: str | None = None
    weights: Path | None = None
    look_for: tuple[str, ...] = ()
    camera_height_m: float | None = None
    runner: str = "local"
    address: str | None = None


@dataclass(frozen=True)
class Assembly:
    """What the choices come to on this machine.

    Attributes:
        registry: The installed tools.
        store: The weights of this machine.
        perception: Which experts look at sources.
    """

    registry: Registry
    store: WeightsHere
    perception: Perception


def assemble(choices: Choices, settings: Settings) -> Assembly:
    """Return what the choices come to; nothing is loaded or started.

    Raises:
        ConfigurationError: If a choice is unknown, or lacks what it needs.
    """
    registry = installed_tools(settings)
    given = given_weights(choices.instances, choices.weights, registry)
    store = WeightsHere(ModelStore.of(settings), given)
    perception = choose_perception(
        choices.profile,
        registry,
        store,
        instances=choices.instances,
        prompts=choices.look_for,
        camera_height_m=choices.camera_height_m,
    )
    return Assembly(registry, store, perception)


def build_agent(
    choices: Choices | None = None, *, settings: Settings | None = None, meter: Meter | None = None
) -> SpatialAgent:
    """Put an agent together; see `spatial_agent.services.open_agent`.

    Args:
        choices: What the user chose.
        settings: The installation.
        meter: Where numbers about the running service go.

    Raises:
        ConfigurationError: If a choice is unknown, or lacks what it needs.
    """
    from spatial_agent.tools.media import open_source

    choices, settings = choices or Choices(), settings or Settings()
    assembly = assemble(choices, settings)
    closing = ExitStack()
    scenes = SceneStore(
        SceneCache(settings.scenes_folder, settings.cache_limit_mb * 2**20), assembly.perception, open_source
    )
    return SpatialAgent(
        scenes=scenes,
        make_runner=make_runners(
            choices.runner,
            assembly.registry,
            assembly.store,
            chosen_weights(assembly.perception, assembly.registry, assembly.store),
            closing,
            results_folder=settings.results_folder,
            address=choices.address,
            meter=meter,
        ),
        planner=GrammarPlanner(),
        runs_folder=settings.runs_folder,
        licences=assembly.perception.licences,
        on_close=closing.close,
    )
