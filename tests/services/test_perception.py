"""What a profile looks at sources with, as far as its weights are on the machine."""

from pathlib import Path

import pytest

from spatial_agent.services.model_store import ModelStore
from spatial_agent.services.perception import PROFILE_ROUTES, ROUTES, choose_perception, given_weights
from spatial_agent.services.weights_here import WeightsHere
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.registry import Registry, expert
from spatial_agent.tools.scene import Detections, Frame


class _Silent:
    def __init__(self, weights: Path) -> None:
        self.weights = weights

    def load(self, device: str) -> None:
        pass

    def __call__(self, frame: Frame) -> Detections:
        """See nothing.

        Args:
            frame: Any frame.
        """
        raise NotImplementedError


def _declared(name: str, *files: str) -> type[_Silent]:
    weights = tuple(Weights(file, f"file:{file}", "Apache-2.0", files=(file,)) for file in files)
    made = type(name.title().replace(".", ""), (_Silent,), {"__doc__": "A detector."})
    return expert(name, weights=weights)(made)


@pytest.fixture(name="registry")
def make_registry() -> Registry:
    registry = Registry()
    registry.add(_declared("instances.yolo", "yolo.bin"))
    registry.add(_declared("detect.yolox", "yolox.bin", "yolox-large.bin"))
    registry.add(_declared("detect.grounding_dino", "dino.bin"))
    registry.add(_declared("segment.sam2", "sam2.bin"))

    @expert("segment.foreground")
    def foreground(frame: Frame, boxes: Detections) -> Detections:
        """Keep what is in front.

        Args:
            frame: Any frame.
            boxes: Its boxes.
        """
        raise NotImplementedError

    registry.add(foreground)
    return registry


def here(folder: Path, *files: str) -> WeightsHere:
    folder.mkdir(exist_ok=True)
    for file in files:
        (folder / file).write_bytes(file.encode())
    return WeightsHere(ModelStore(folder))


def test_a_recorded_scan_needs_no_expert(registry: Registry, tmp_path: Path) -> None:
    perception = choose_perception("recorded", registry, here(tmp_path))

    assert perception.recorded
    assert perception.routes == ()
    assert perception.licences == ()


def test_an_open_profile_takes_the_routes_whose_weights_are_all_there(
    registry: Registry, tmp_path: Path
) -> None:
    only_boxes = choose_perception("open", registry, here(tmp_path, "yolox.bin", "dino.bin"))
    both = choose_perception("open", registry, here(tmp_path, "sam2.bin"))

    assert [route.name for route in only_boxes.routes] == ["yolox"]
    assert [route.name for route in both.routes] == ["grounding-dino", "yolox"]
    assert any("dino.bin" in licence and "Apache-2.0" in licence for licence in both.licences)


def test_no_profile_brings_in_agpl_code_unasked() -> None:
    for routes in PROFILE_ROUTES.values():
        assert not [name for name in routes if name.startswith("yolo") and name != "yolox"]


def test_a_chosen_way_comes_first_and_the_profile_stands_behind_it(
    registry: Registry, tmp_path: Path
) -> None:
    weights = here(tmp_path, "yolo.bin", "yolox.bin")
    perception = choose_perception("open", registry, weights, instances="yolo")

    assert [route.name for route in perception.routes] == ["yolo", "yolox"]


def test_missing_weights_name_the_file_its_licence_and_the_command(
    registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as error:
        choose_perception("open", registry, here(tmp_path), instances="yolo")

    for part in ("yolo.bin", "Apache-2.0", "spatial-agent models pull yolo.bin"):
        assert part in str(error.value)


def test_nothing_to_find_objects_with_says_what_each_way_lacks(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        choose_perception("open", registry, here(tmp_path))

    for part in ("grounding-dino", "dino.bin", "sam2.bin", "yolox.bin", "owlv2"):
        assert part in str(error.value)


@pytest.mark.parametrize(("profile", "instances"), [("opne", None), ("open", "yolov")])
def test_unknown_names_are_told_the_known_ones(
    registry: Registry, tmp_path: Path, profile: str, instances: str | None
) -> None:
    with pytest.raises(ConfigurationError, match="expected .*(best|grounding-dino)"):
        choose_perception(profile, registry, here(tmp_path), instances=instances)


def test_a_scene_is_another_one_when_weights_or_prompts_are(registry: Registry, tmp_path: Path) -> None:
    def identity(weights: WeightsHere, *prompts: str) -> str:
        return choose_perception("open", registry, weights, prompts=prompts).identity

    weights = here(tmp_path, "dino.bin", "sam2.bin")
    first = identity(weights)
    same = identity(here(tmp_path, "yolox.bin"))
    asked = identity(weights, "piano")
    (tmp_path / "dino.bin").write_bytes(b"retrained")
    retrained = identity(here(tmp_path))

    assert first == same
    assert len({first, asked, retrained}) == 3


def test_a_named_file_stands_for_the_weights_of_the_chosen_way(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "mine.bin"
    file.write_bytes(b"mine")
    given = given_weights("yolo", file, registry)
    perception = choose_perception(
        "open", registry, WeightsHere(ModelStore(tmp_path / "none"), given), instances="yolo"
    )

    assert given == {"yolo.bin": file}
    assert [route.name for route in perception.routes] == ["yolo"]
    with pytest.raises(ConfigurationError, match="no weights at"):
        given_weights("yolo", tmp_path / "absent.bin", registry)
    with pytest.raises(ConfigurationError, match="--instances"):
        given_weights(None, file, registry)


def test_every_route_calls_experts_that_are_installed() -> None:
    installed = set(Registry.from_entry_points())

    assert {expert for route in ROUTES.values() for expert in route.experts} <= installed
