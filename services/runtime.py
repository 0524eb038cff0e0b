"""What is wired to what: the one place where an agent is put together."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.background import NewLoop
from spatial_agent.agent.models.chat import ChatModel, ToolOffer
from spatial_agent.agent.running import MOST_TRACES, OpenCheckpoints, Wiring
from spatial_agent.agent.situation import Interface
from spatial_agent.agent.state import Budget, Programs
from spatial_agent.prompts.spatial import PartName
from spatial_agent.services.model_store import ModelStore
from spatial_agent.services.perception import Perception, choose_perception, chosen_weights, given_weights
from spatial_agent.services.runners import make_runners
from spatial_agent.services.scenes import SceneStore
from spatial_agent.services.settings import Settings
from spatial_agent.services.tools_here import installed_tools
from spatial_agent.services.weights_here import WeightsHere
from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError
from spatial_agent.tools.mapping.cache import SceneCache
from spatial_agent.tools.metering import Meter
from spatial_agent.tools.registry import Registry, Tool


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
        model: ``"openai:NAME@URL"``, ``"hf:NAME"``, ``"scripted:FILE"`` or ``"none"``; an opened `ChatModel`;
            None for the setting.
        interface: How the model acts: ``"tools"``, ``"code"`` or ``"single-pass"``.
        parts: Parts of the structured prompt that are in use; all where None.
        budget: What one run may use.
    """

    profile: str = "recorded"
    instances: str | None = None
    weights: Path | None = None
    look_for: tuple[str, ...] = ()
    camera_height_m: float | None = None
    runner: str = "local"
    address: str | None = None
    model: str | ChatModel | None = None
    interface: str = "tools"
    parts: frozenset[PartName] | None = None
    budget: Budget | None = None


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
    choices: Choices | None = None,
    *,
    settings: Settings | None = None,
    meter: Meter | None = None,
    runs_folder: Path | None = None,
    most_traces: int | None = MOST_TRACES,
    new_loop: NewLoop = asyncio.new_event_loop,
) -> SpatialAgent:
    """Put an agent together; see `spatial_agent.services.open_agent`.

    Args:
        choices: What the user chose.
        settings: The installation.
        meter: Where numbers about the running service go.
        runs_folder: Where checkpoints and traces go; the installation's folder where None.
        most_traces: Traces that are kept; None keeps all.
        new_loop: Makes the event loop that its runs go on.

    Raises:
        ConfigurationError: If a choice is unknown, or lacks what it needs.
    """
    from spatial_agent.tools.media import open_source

    choices, settings = choices or Choices(), settings or Settings()
    assembly = assemble(choices, settings)
    interface = _interface(choices.interface)
    closing = ExitStack()
    scenes = SceneStore(
        SceneCache(settings.scenes_folder, settings.cache_limit_mb * 2**20), assembly.perception, open_source
    )
    model = _model(choices, settings)
    wiring = Wiring(
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
        runs_folder=runs_folder or settings.runs_folder,
        most_traces=most_traces,
        new_loop=new_loop,
        open_checkpoints=_checkpoints(settings),
        model=model,
        interface=interface,
        offers=() if model is None else tool_offers(assembly),
        programs=None if model is None else _programs(settings, closing, interface),
        parts=choices.parts,
        budget=choices.budget or Budget(),
    )
    return SpatialAgent(wiring, licences=assembly.perception.licences, on_close=closing.close)


def _checkpoints(settings: Settings) -> OpenCheckpoints | None:
    """Return what opens the checkpoints of a shared database; None for a file among the runs."""
    url = settings.database
    if url is None or not url.startswith("postgresql"):
        return None

    def opened() -> AbstractAsyncContextManager[Any]:
        from spatial_agent.agent.checkpoints import postgres_checkpoints

        return postgres_checkpoints(url)

    return opened


def tool_offers(assembly: Assembly) -> tuple[ToolOffer, ...]:
    """Return the tools that a model may call, skills first: those whose weights, if any, are here."""
    installed = (assembly.registry.get(name) for name in assembly.registry)
    tools = [tool for tool in installed if not tool.weights or _has_weights(tool, assembly.store)]
    # Whole recordings are kept under no reference.
    tools = [tool for tool in tools if "FrameSet" not in tool.spec.references.values()]
    # Of several that do the same the first is offered: one that needs no network, where there is one.
    tools.sort(key=lambda tool: (tool.kind != "skill", bool(tool.weights), tool.name))
    return tuple(ToolOffer(tool.name, tool.spec.description, tool.spec.parameters) for tool in tools)


def _has_weights(tool: Tool, store: WeightsHere) -> bool:
    for weights in tool.weights:
        try:
            store.locate(weights)
        except MissingWeightsError:
            continue
        return True
    return False


def _interface(name: str) -> Interface:
    for known in get_args(Interface):
        if name == known:
            return cast(Interface, known)
    raise ConfigurationError(f"unknown interface {name!r}; expected {', '.join(get_args(Interface))}")


def _model(choices: Choices, settings: Settings) -> ChatModel | None:
    chosen = settings.model if choices.model is None else choices.model
    if not isinstance(chosen, str):
        return chosen
    if chosen == "none":
        return None
    from spatial_agent.agent.models.opening import open_model

    return open_model(chosen, key=settings.key_for(chosen), weights_folder=settings.weights_folder)


def _programs(settings: Settings, closing: ExitStack, interface: Interface) -> Programs | None:
    """Return what runs the model's programs; None on a system that has no sandbox."""
    if interface == "single-pass":
        return None
    if sys.platform != "linux":
        if interface == "code":
            raise ConfigurationError(f"programs run on Linux only; this is {sys.platform}: choose 'tools'")
        return None
    from spatial_agent.services.program_tool import SandboxedPrograms
    from spatial_agent.services.sandboxes import open_sandbox

    programs = SandboxedPrograms(lambda: open_sandbox(settings))
    closing.callback(programs.close)
    return programs
