"""The scene cache: whole or absent, bounded, and indifferent to damage."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.tools.mapping.cache import SceneCache, scene_from_bytes, scene_to_bytes
from spatial_agent.tools.scene import (
    OrientedBox,
    PointCloud,
    Provenance,
    Room,
    SceneMap,
    SceneObject,
    SceneQuality,
)


def measured_scene(points: int = 50) -> SceneMap:
    rng = np.random.default_rng(5)
    surface = PointCloud(rng.uniform(0, 1, (points, 3)), None, np.ones(points))
    seen = Provenance((0, 2), 900, points, 0.004, (1.0, 0.5, 0.0, 1.0, 0.0, 1.0))
    item = SceneObject(
        "chair-1",
        "chair",
        OrientedBox.upright(np.array([0.5, 0.5, 0.5]), np.ones(3), 0.3),
        surface=surface,
        facing=np.array([1.0, 1.0, 0.0]),
        first_seen_frame=0,
        first_seen_s=0.5,
        provenance=seen,
    )
    return SceneMap(
        (item,),
        room=Room(12.5, np.array([[0.0, 0], [5, 0], [5, 2.5], [0, 2.5]]), 12.0, 13.0, exact=False),
        cloud=PointCloud(rng.uniform(0, 1, (points, 3)), rng.integers(0, 255, (points, 3)).astype(np.uint8)),
        scan_from_scene=np.eye(4),
        quality=SceneQuality(0.004, 0.003, 0.002, 0.01),
        scene_id="abc",
        notes=("measured for a test",),
    )


def test_a_scene_comes_back_whole() -> None:
    scene = measured_scene()
    back = scene_from_bytes(scene_to_bytes(scene))
    item, other = scene.objects[0], back.objects[0]

    assert (other.id, other.label, other.provenance) == (item.id, item.label, item.provenance)
    assert (other.first_seen_frame, other.first_seen_s) == (0, 0.5)
    assert (back.quality, back.notes, back.scene_id) == (scene.quality, scene.notes, "abc")
    assert item.surface is not None
    assert other.surface is not None
    assert scene.cloud is not None
    assert back.cloud is not None
    np.testing.assert_allclose(other.surface.xyz_m, item.surface.xyz_m, atol=1e-6)
    np.testing.assert_array_equal(back.cloud.rgb, scene.cloud.rgb)
    np.testing.assert_allclose(other.box.world_from_box, item.box.world_from_box)
    assert item.facing is not None
    assert other.facing is not None
    np.testing.assert_allclose(other.facing, item.facing)


def test_the_key_depends_on_content_and_segmenter(tmp_path: Path) -> None:
    cache = SceneCache(tmp_path, 10**9)

    assert len({cache.key("a", "s"), cache.key("b", "s"), cache.key("a", "t")}) == 3


def test_the_least_recently_used_scene_goes_first(tmp_path: Path) -> None:
    scene = measured_scene()
    size = len(scene_to_bytes(scene))
    cache = SceneCache(tmp_path, int(2.5 * size))
    for age, key in enumerate(("old", "used", "new")):
        cache.put(key, scene)
        os.utime(tmp_path / f"{key}.scene.npz", (1_000_000 + age, 1_000_000 + age))
        if key == "used":
            assert cache.get("old") is not None

    assert cache.get("used") is None
    assert cache.get("old") is not None
    assert cache.get("new") is not None


def test_a_scene_larger_than_the_limit_is_still_kept_once(tmp_path: Path) -> None:
    cache = SceneCache(tmp_path, 10)
    cache.put("big", measured_scene())

    assert cache.get("big") is not None


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_a_damaged_file_is_a_miss(tmp_path: Path, damage: bytes | None) -> None:
    cache = SceneCache(tmp_path, 10**9)
    cache.put("key", measured_scene())
    path = tmp_path / "key.scene.npz"
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)

    assert cache.get("key") is None


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    cache = SceneCache(tmp_path, 10**9)
    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.put("key", measured_scene())

    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from spatial_agent.tools.mapping.cache import SceneCache
from spatial_agent.tools.synthetic import SyntheticRoom

cache, scene = SceneCache(Path(sys.argv[1]), 10**9), SyntheticRoom.example().scene_map()
for _ in range(50):
    cache.put("shared", scene)
"""


def test_two_processes_can_write_and_read_one_key(tmp_path: Path) -> None:
    cache = SceneCache(tmp_path, 10**9)
    cache.put("shared", measured_scene(500))
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        assert cache.get("shared") is not None

    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["shared.scene.npz"]
