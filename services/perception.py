"""Which experts look at a source: what a profile asks for, as far as its weights are on this machine."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from spatial_agent.services.weights_here import WeightsHere
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError, ToolUnavailableError
from spatial_agent.tools.registry import Registry

Profile = Literal["recorded", "open", "best"]
RECORDED = "recorded"


@dataclass(frozen=True)
class Route:
    """One way to find the objects of a frame.

    Attributes:
        name: What users choose it by.
        detector: The expert that finds boxes, or masks at once.
        masker: The expert that turns boxes into masks; None where the detector gives masks.
        prompted: Whether the detector has to be told what to look for.
    """

    name: str
    detector: str
    masker: str | None = None
    prompted: bool = False

    @property
    def experts(self) -> tuple[str, ...]:
        """The experts it calls."""
        return (self.detector,) if self.masker is None else (self.detector, self.masker)


ROUTES: Mapping[str, Route] = {
    route.name: route
    for route in (
        Route("yolo", "instances.yolo"),
        Route("yoloe", "instances.yoloe", prompted=True),
        Route("yolo-world", "detect.yolo_world", "segment.sam2", prompted=True),
        Route("sam3", "instances.sam3", prompted=True),
        Route("grounding-dino", "detect.grounding_dino", "segment.sam2", prompted=True),
        Route("owlv2", "detect.owlv2", "segment.sam2", prompted=True),
        Route("yolox", "detect.yolox", "segment.foreground"),
    )
}
#: Routes of a profile, the preferred first; every one of them has permissively licensed code.
PROFILE_ROUTES: Mapping[str, tuple[str, ...]] = {
    "recorded": (),
    "open": ("grounding-dino", "owlv2", "yolox"),
    "best": ("sam3", "grounding-dino", "owlv2", "yolox"),
}
#: Depth experts of a profile for pictures without depth, the preferred first.
PROFILE_DEPTH: Mapping[str, tuple[str, ...]] = {
    "recorded": (),
    "open": ("depth.depth_anything",),
    "best": ("depth.depth_pro", "depth.depth_anything", "depth.zoedepth"),
}
#: What a detector that has to be told looks for in a room, unless told otherwise.
INDOOR: tuple[str, ...] = (
    *("chair", "armchair", "office chair", "stool", "sofa", "bed", "table", "coffee table", "desk"),
    *("cabinet", "bookshelf", "shelf", "chest of drawers", "nightstand", "wardrobe", "lamp", "tv"),
    *("computer monitor", "laptop", "computer keyboard", "door", "window", "curtain", "mirror", "picture"),
    *("plant", "vase", "book", "box", "bag", "backpack", "pillow", "clock", "cup", "bottle", "bowl"),
    *("refrigerator", "oven", "stove", "microwave", "dishwasher", "washing machine", "sink", "faucet"),
    *("toilet", "bathtub", "shower", "towel", "trash can", "radiator", "fireplace", "piano", "whiteboard"),
)


@dataclass(frozen=True)
class Perception:
    """What looks at a source.

    Attributes:
        recorded: Whether the scan's own instances are used.
        routes: Ways to find objects, the preferred first; a later one is used when an earlier one is lost.
        depth: Depth experts for pictures without depth, the preferred first.
        no_depth: What keeps the profile's depth experts from being used, where none can be.
        prompts: What prompted detectors look for.
        licences: What the weights it may use are licensed under, one sentence each.
        identity: Decides, with the source's content, which cached scene is the same.
        camera_height_m: Height of a photograph's camera above the floor, where known, metres.
    """

    recorded: bool
    routes: tuple[Route, ...] = ()
    depth: tuple[str, ...] = ()
    no_depth: str = ""
    prompts: tuple[str, ...] = INDOOR
    licences: tuple[str, ...] = ()
    identity: str = ""
    camera_height_m: float | None = None


def choose_perception(
    profile: str,
    registry: Registry,
    store: WeightsHere,
    *,
    instances: str | None = None,
    prompts: Sequence[str] = (),
    camera_height_m: float | None = None,
) -> Perception:
    """Return what a profile looks at sources with.

    Args:
        profile: ``"recorded"``, ``"open"`` or ``"best"``.
        registry: The installed tools.
        store: The weights of this machine.
        instances: Overrides the profile's first way to find objects.
        prompts: What to look for instead of the usual things in a room.
        camera_height_m: Height of a photograph's camera above the floor, where known, metres.

    Raises:
        ConfigurationError: If the profile or the way is unknown, or nothing to find objects with has its
            weights on this machine.
    """
    _check_names(profile, instances)
    if camera_height_m is not None and not 0 < camera_height_m < 100:
        raise ConfigurationError(f"camera height: expected metres above the floor, got {camera_height_m!r}")
    chosen = instances or (RECORDED if profile == "recorded" else None)
    wanted = tuple(dict.fromkeys((*([chosen] if chosen else []), *PROFILE_ROUTES[profile])))
    routes, missing = _usable(tuple(ROUTES[name] for name in wanted if name != RECORDED), registry, store)
    if chosen not in (None, RECORDED) and ROUTES[str(chosen)] not in routes:
        raise ConfigurationError(f"instances {chosen!r} cannot be used: {missing[str(chosen)]}")
    if chosen is None and not routes:
        reasons = "; ".join(f"{name}: {why}" for name, why in missing.items())
        raise ConfigurationError(f"profile {profile!r} has nothing to find objects with. {reasons}")
    why_not = {name: _why_unusable(name, registry, store) for name in PROFILE_DEPTH[profile]}
    depth = tuple(name for name, why in why_not.items() if why is None)
    identity = _identity(chosen == RECORDED, routes, depth, tuple(prompts) or INDOOR, registry, store)
    if camera_height_m is not None:
        identity += f" camera {camera_height_m:g} m"
    return Perception(
        recorded=chosen == RECORDED,
        routes=routes,
        depth=depth,
        no_depth="" if depth else "; ".join(filter(None, why_not.values())),
        prompts=tuple(prompts) or INDOOR,
        licences=_licences(routes, depth, registry, store),
        identity=identity,
        camera_height_m=camera_height_m,
    )


def _check_names(profile: str, instances: str | None) -> None:
    if profile not in get_args(Profile):
        raise ConfigurationError(f"unknown profile {profile!r}; expected {', '.join(get_args(Profile))}")
    if instances is not None and instances not in (RECORDED, *ROUTES):
        raise ConfigurationError(
            f"unknown instances {instances!r}; expected {', '.join((RECORDED, *ROUTES))}"
        )


def _usable(
    routes: Sequence[Route], registry: Registry, store: WeightsHere
) -> tuple[tuple[Route, ...], dict[str, str]]:
    """Return the routes whose experts are all usable, and why the others are not."""
    reasons = {
        route.name: "; ".join(
            why for name in route.experts if (why := _why_unusable(name, registry, store)) is not None
        )
        for route in routes
    }
    return tuple(route for route in routes if not reasons[route.name]), {
        k: v for k, v in reasons.items() if v
    }


def _why_unusable(name: str, registry: Registry, store: WeightsHere) -> str | None:
    try:
        tool = registry.get(name)
        if tool.weights:
            store.locate(_weights(name, registry, store))
    except (ToolUnavailableError, MissingWeightsError) as error:
        return str(error)
    return None


def _weights(name: str, registry: Registry, store: WeightsHere) -> Weights:
    """Return the weights an expert runs with here: the first declared ones that are on this machine."""
    tool = registry.get(name)
    present = (weights for weights in tool.weights if store.has(weights))
    return next(present, tool.weights[0])


def _licences(
    routes: Sequence[Route], depth: Sequence[str], registry: Registry, store: WeightsHere
) -> tuple[str, ...]:
    """Say what the weights are licensed under: of the preferred experts, then of those that may stand in."""
    preferred = [expert for route in routes[:1] for expert in route.experts] + list(depth[:1])
    others = [expert for route in routes[1:] for expert in route.experts] + list(depth[1:])
    words = dict.fromkeys(others, "may stand in with") | dict.fromkeys(preferred, "uses")
    found = []
    for name in dict.fromkeys([*preferred, *others]):
        if registry.get(name).weights:
            weights = _weights(name, registry, store)
            found.append(f"{name} {words[name]} the weights {weights.name}, licensed {weights.licence}")
    return tuple(found)


def _identity(
    recorded: bool,
    routes: Sequence[Route],
    depth: Sequence[str],
    prompts: Sequence[str],
    registry: Registry,
    store: WeightsHere,
) -> str:
    """Return what decides the masks and depths: the preferred route, since degraded scenes are not kept."""
    if recorded:
        experts: tuple[str, ...] = ()
        parts = [f"{RECORDED}/1"]
    else:
        experts, parts = routes[0].experts, []
        if routes[0].prompted:
            parts.append(hashlib.sha256("\n".join(prompts).encode()).hexdigest()[:12])
    for name in (*experts, *depth[:1]):
        tool = registry.get(name)
        digest = store.digest(_weights(name, registry, store))[:12] if tool.weights else ""
        parts.append(f"{name}/{tool.version}/{digest}")
    return " ".join(parts)


def chosen_weights(perception: Perception, registry: Registry, store: WeightsHere) -> dict[str, str]:
    """Return the name of the weights each expert of a perception runs with."""
    experts = [expert for route in perception.routes for expert in route.experts] + list(perception.depth)
    return {name: _weights(name, registry, store).name for name in experts if registry.get(name).weights}


def given_weights(route: str | None, file: Path | None, registry: Registry) -> dict[str, Path]:
    """Return where the weights of a route's detector are, where the user named a file.

    Raises:
        ConfigurationError: If a file is named and no route, or it does not exist.
    """
    if file is None:
        return {}
    if route is None or route == RECORDED:
        raise ConfigurationError("weights are given, but nothing to use them with; add --instances NAME")
    if not file.exists():
        raise ConfigurationError(f"no weights at {file}; expected a weights file or folder for {route}")
    return {registry.get(ROUTES[route].detector).named_weights().name: file}
