"""Do 90 % intervals hold the truth 90 % of the time? Noisy scans of rooms of which everything is known.

Every room is furnished, walked through, tilted and moved at random, filmed with noise drawn for it
alone, mapped by the same code as any recording, and measured; the estimator sees frames only. Truth
comes from the parameters of the room by formulae that share no code with the measuring.

    python benchmarks/coverage.py --rooms 24 --seed 1000

Seeds below 1000 were used to fit the error model: results on them prove nothing.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.experts.instances import RecordedInstances
from spatial_agent.tools.geometry import measuring
from spatial_agent.tools.mapping.build import build_scene
from spatial_agent.tools.scene import Measurement, OrientedBox, SceneMap, SceneObject
from spatial_agent.tools.synthetic import SensorNoise, SyntheticRoom

Array = NDArray[np.float64]

WIDTH_PX, HEIGHT_PX = 240, 180
#: Farther than this from where an object of its label stands, a mapped object is not that object.
SAME_PLACE_M = 0.6
PAIRS, TURNS = 8, 6
FIRST_HELD_OUT = 1000


@dataclass(frozen=True)
class Trial:
    """One measurement against the truth, in its own unit.

    Attributes:
        kind: What was measured.
        room: Seed of the room.
        what: Which objects.
        measured: The measurement.
        truth: The true value.
    """

    kind: str
    room: int
    what: str
    measured: Measurement
    truth: float

    @property
    def error(self) -> float:
        """Measured less true."""
        return self.measured.value - self.truth

    @property
    def is_covered(self) -> bool:
        """Whether the interval holds the truth."""
        low, high = self.measured.low, self.measured.high
        return (low is None or low <= self.truth) and (high is None or self.truth <= high)

    @property
    def width(self) -> float:
        """Length of the interval; infinite where an end is open."""
        low, high = self.measured.low, self.measured.high
        return np.inf if low is None or high is None else high - low


def draw_noise(rng: np.random.Generator) -> SensorNoise:
    """Draw the faults of one scan: from a good structured-light sensor to a poor one."""
    return SensorNoise(
        depth_m=rng.uniform(0.0005, 0.003),
        depth_per_m2=rng.uniform(0.001, 0.003),
        depth_step_m=float(rng.choice([0.001, 0.002, 0.005])),
        scale_error=0.01,
        drift_m=rng.uniform(0.0005, 0.003),
        drift_rad=rng.uniform(0.0002, 0.001),
        bleed_px=int(rng.integers(0, 3)),
        erosion_px=int(rng.integers(0, 2)),
        dropout=rng.uniform(0.0, 0.5),
        flying=rng.uniform(0.0, 0.2),
        misses=rng.uniform(0.0, 0.1),
    )


def scan_room(seed: int) -> tuple[SyntheticRoom, SceneMap, Array]:
    """Film and map one room; return it, its map, and the rigid ``room_from_scene``."""
    rng = np.random.default_rng((seed, 11))
    room = SyntheticRoom.random(seed, width_px=WIDTH_PX, height_px=HEIGHT_PX)
    scan_from_room = np.eye(4)
    scan_from_room[:3, :3] = Rotation.random(rng=rng).as_matrix()
    scan_from_room[:3, 3] = rng.uniform(-3, 3, 3)
    frames = room.frames(noise=draw_noise(rng), seed=seed, scan_from_room=scan_from_room)
    scene = build_scene(frames, RecordedInstances())
    if scene.scan_from_scene is None:
        raise RuntimeError(f"room {seed}: the map does not say how it lies in the scan")
    return room, scene, np.linalg.inv(scan_from_room) @ scene.scan_from_scene


def match(room: SyntheticRoom, scene: SceneMap, room_from_scene: Array) -> dict[int, SceneObject]:
    """Return which mapped object is which piece of furniture: same label, nearest, each used once."""
    candidates = []
    for item in scene.objects:
        centre_m = item.box.moved(room_from_scene).centre_m
        for position, piece in enumerate(room.objects):
            away_m = float(np.linalg.norm(centre_m - piece.box.centre_m))
            if piece.label == item.label and away_m < SAME_PLACE_M:
                candidates.append((away_m, position, item))
    found: dict[int, SceneObject] = {}
    for _, position, item in sorted(candidates, key=lambda entry: entry[:2]):
        if position not in found and item not in found.values():
            found[position] = item
    return found


def measure_room(seed: int) -> Iterator[Trial]:
    """Yield the trials of one room."""
    room, scene, room_from_scene = scan_room(seed)
    found = match(room, scene, room_from_scene)
    rng = np.random.default_rng((seed, 13))
    yield Trial("room m2", seed, "", measuring.measure_room(scene), room.area_m2)
    yield from _sizes(seed, room, scene, found)
    yield from _distances(seed, room, scene, found, rng)
    yield from _turns(seed, room, scene, found, rng)


def _sizes(seed: int, room: SyntheticRoom, scene: SceneMap, found: dict[int, SceneObject]) -> Iterator[Trial]:
    for position, item in found.items():
        extent_m = room.objects[position].box.extent_m
        truths = {
            "height": extent_m[2],
            "width": max(extent_m[:2]),
            "depth": min(extent_m[:2]),
            "longest": max(extent_m),
        }
        for dimension in ("height", "width", "depth"):
            measured = measuring.measure_size(scene, item, dimension)
            yield Trial(f"{dimension} m", seed, item.id, measured, float(truths[dimension]))
        vsi = measuring.measure_vsi_size(scene, item)
        yield Trial("vsi size cm", seed, item.id, vsi, round(100 * truths["longest"]))


def _distances(
    seed: int,
    room: SyntheticRoom,
    scene: SceneMap,
    found: dict[int, SceneObject],
    rng: np.random.Generator,
) -> Iterator[Trial]:
    pairs = list(combinations(found, 2))
    for a, b in _some(pairs, PAIRS, rng):
        what = f"{found[a].id} {found[b].id}"
        surface, _ = measuring.measure_distance(scene, found[a], found[b])
        yield Trial("distance m", seed, what, surface, room.distance_m(a, b))
        vsi, _ = measuring.measure_vsi_distance(scene, found[a], found[b])
        truth = sampled_distance_m(room.objects[a].box, room.objects[b].box)
        yield Trial("vsi distance m", seed, what, vsi, truth)
        centres = measuring.measure_centre_distance(scene, found[a], found[b])
        apart = room.objects[a].box.centre_m - room.objects[b].box.centre_m
        yield Trial("centres m", seed, what, centres, float(np.linalg.norm(apart)))


def _turns(
    seed: int,
    room: SyntheticRoom,
    scene: SceneMap,
    found: dict[int, SceneObject],
    rng: np.random.Generator,
) -> Iterator[Trial]:
    for trio in _some(list(permutations(found, 3)), TURNS, rng):
        observer, facing, target = (found[position] for position in trio)
        try:
            measured = measuring.measure_direction(scene, observer, facing, target)
        except ViewpointError:
            continue
        at, faced, sought = (room.objects[position].box.centre_m[:2] for position in trio)
        ahead, way = complex(*(faced - at)), complex(*(sought - at))
        truth = float(np.degrees(np.angle(way / ahead)))
        # An angle is the same a full turn on: the one nearest to the measured one is meant.
        truth += 360.0 * round((measured.value - truth) / 360.0)
        yield Trial("direction deg", seed, f"{observer.id} {facing.id} {target.id}", measured, truth)


def sampled_distance_m(a: OrientedBox, b: OrientedBox) -> float:
    """Return VSI-Bench's distance of two boxes from its definition: shells of 5 cm grids, nearest pair."""
    return float(cdist(_shell_m(a), _shell_m(b)).min())


def _shell_m(box: OrientedBox) -> Array:
    x, y, z = (np.linspace(-edge / 2, edge / 2, max(1, ceil(edge / 0.05))) for edge in box.extent_m)
    grid = np.array([(p, q, r) for p in x for q in y for r in z])
    outer = grid[(np.abs(grid) > box.extent_m / 4).any(axis=1)]
    shell = outer @ box.world_from_box.T + box.centre_m
    # The benchmark crops to the box after turning; rounding decides what stays of the outermost layer.
    inside = np.abs((shell - box.centre_m) @ box.world_from_box) <= box.extent_m / 2
    cropped: Array = shell[inside.all(axis=1)]
    return cropped


def _some(choices: Sequence[tuple[int, ...]], count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    return [choices[k] for k in rng.permutation(len(choices))[:count]]


def table(trials: Sequence[Trial]) -> str:
    """Return coverage, widths and errors per kind, as text."""
    lines = [
        f"{'kind':<16}{'n':>5}{'open':>6}{'covered':>9}{'median width':>14}{'median |error|':>16}{'bias':>9}"
    ]
    kinds = list(dict.fromkeys(trial.kind for trial in trials))
    for kind in [*kinds, "all"]:
        chosen = [trial for trial in trials if kind in (trial.kind, "all")]
        line = f"{kind:<16}{len(chosen):>5}{sum(np.isinf(t.width) for t in chosen):>6}"
        line += f"{coverage(chosen):>9.1%}"
        if kind != "all":
            errors = np.array([trial.error for trial in chosen])
            width = float(np.median([trial.width for trial in chosen]))
            line += f"{width:>12.3f}{np.median(np.abs(errors)):>14.3f}{np.median(errors):>+9.3f}"
        lines.append(line)
    return "\n".join(lines)


def coverage(trials: Sequence[Trial]) -> float:
    """Return the share of intervals that hold the truth."""
    return float(np.mean([trial.is_covered for trial in trials]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 where overall coverage is 85 to 95 %."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rooms", type=int, default=24, help="how many rooms (default 24)")
    parser.add_argument("--seed", type=int, default=FIRST_HELD_OUT, help="seed of the first (default 1000)")
    wanted = parser.parse_args(arguments)
    trials: list[Trial] = []
    start = time.perf_counter()
    try:
        for done, seed in enumerate(range(wanted.seed, wanted.seed + wanted.rooms), start=1):
            trials += measure_room(seed)
            spent = time.perf_counter() - start
            text = f"room {done}/{wanted.rooms}: {len(trials)} measurements, {coverage(trials):.1%} covered"
            print(f"{text}, {spent:.0f} s", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted; what follows is of the rooms so far", file=sys.stderr)
    if not trials:
        return 130
    print(table(trials))
    return 0 if 0.85 <= coverage(trials) <= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
