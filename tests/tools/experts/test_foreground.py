"""Masks from boxes and depth, against the exact instance images of ray-cast rooms and planted surfaces."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.experts.foreground import foreground
from spatial_agent.tools.experts.masks import mask_boxes
from spatial_agent.tools.scene import DepthMap, Detections, Frame, FrameHeader
from spatial_agent.tools.synthetic import SensorNoise, SyntheticRoom

HEIGHT, WIDTH = 90, 160


def boxes(*edges: tuple[float, float, float, float], label: str = "thing") -> Detections:
    """Return boxes given by their edges in pixels from the corner of the picture."""
    count = len(edges)
    xyxy_px = np.array(edges, float).reshape(count, 4) - 0.5
    return Detections(xyxy_px, np.linspace(0.9, 0.5, count), (label,) * count)


def frame_of(z_m: np.ndarray, rgb: np.ndarray | None = None) -> Frame:
    return Frame(FrameHeader(0, "000000"), rgb, DepthMap(z_m.astype(np.float32)))


def floor_and_wall(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return the depth of a level camera 1.2 m above a floor, 4 m before a wall."""
    below = (np.arange(height) - (height - 1) / 2) / 100.0
    floor_m = np.where(below > 0, 1.2 / np.maximum(below, 1e-9), np.inf)
    return np.repeat(np.minimum(floor_m, 4.0)[:, None], width, axis=1)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def only_mask(found: Detections) -> np.ndarray:
    assert found.masks is not None
    (mask,) = found.masks
    return np.asarray(mask)


def test_a_thing_before_a_wall_is_found_to_the_pixel() -> None:
    z_m = floor_and_wall()
    thing = np.zeros(z_m.shape, bool)
    thing[20:50, 30:50] = thing[30:50, 50:70] = True  # an L, so that its box is not its mask
    z_m[thing] = 2.0

    found = foreground(frame_of(z_m), boxes((30, 20, 70, 50)))

    np.testing.assert_array_equal(only_mask(found), thing)


def test_the_floor_under_a_table_is_not_the_table() -> None:
    """Its box reaches the lower edge of the picture, so that the floor within it is seen nowhere beside."""
    z_m = floor_and_wall()
    table = np.zeros(z_m.shape, bool)
    table[56:64, 40:120] = table[64:, 40:44] = table[64:, 116:] = True
    table[:, 120:] = False
    z_m[table] = 1.4  # before the floor down to the last row

    found = foreground(frame_of(z_m), boxes((40, 56, 120, 90)))

    assert iou(only_mask(found), table) > 0.97


def test_of_two_things_in_a_box_the_one_that_fills_it_is_taken() -> None:
    z_m = floor_and_wall()
    sofa, vase = np.zeros(z_m.shape, bool), np.zeros(z_m.shape, bool)
    sofa[25:60, 30:130], vase[30:75, 60:75] = True, True
    z_m[sofa], z_m[vase] = 3.0, 1.5
    found = foreground(frame_of(z_m), boxes((30, 25, 130, 60), (60, 30, 75, 75)))
    assert found.masks is not None
    np.testing.assert_array_equal(found.masks[0], sofa & ~vase)
    np.testing.assert_array_equal(found.masks[1], vase)


def test_a_slanted_thing_is_one_surface_and_a_step_behind_it_is_not() -> None:
    z_m = floor_and_wall()
    slanted = np.zeros(z_m.shape, bool)
    slanted[20:60, 40:100] = True
    z_m[20:60, 40:100] = np.linspace(1.2, 3.0, 60)
    found = foreground(frame_of(z_m), boxes((40, 20, 100, 60)))
    assert iou(only_mask(found), slanted) > 0.98


def test_something_flat_on_a_wall_is_its_box() -> None:
    found = foreground(frame_of(floor_and_wall()), boxes((50, 8, 90, 30)))
    picture = np.zeros((HEIGHT, WIDTH), bool)
    picture[8:30, 50:90] = True
    np.testing.assert_array_equal(only_mask(found), picture)


def test_a_thing_on_a_table_stands_out_from_the_top() -> None:
    """A cup on a tilted top that ends before a far wall."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    z_m = np.full((HEIGHT, WIDTH), 4.0)
    top = rows > 30
    z_m[top] = 0.5 / (0.15 + (rows[top] - 20) / 120.0)
    cup = (rows >= 40) & (rows < 62) & (columns >= 70) & (columns < 88)
    z_m[cup] = z_m[62, 0] * 0.97
    found = foreground(frame_of(z_m), boxes((70, 40, 88, 62)))
    assert iou(only_mask(found), cup) > 0.85  # its foot is as deep as the top


@pytest.mark.parametrize("factor", [0.25, 8.0])
def test_depth_in_other_units_gives_the_same_masks(factor: float) -> None:
    frame = SyntheticRoom.example().frames().load(0)
    assert frame.depth is not None
    assert frame.instance_ids is not None
    seen = [number for number in np.unique(frame.instance_ids) if number]
    given = mask_boxes(np.stack([frame.instance_ids == number for number in seen])) + 0.5
    asked = boxes(*[(b[0], b[1], b[2], b[3]) for b in given])
    scaled = foreground(frame_of(frame.depth.z_m * np.float32(factor)), asked)
    np.testing.assert_array_equal(scaled.masks, foreground(frame_of(frame.depth.z_m), asked).masks)


def test_masks_have_the_size_of_the_picture_that_boxes_were_drawn_in() -> None:
    z_m = floor_and_wall()
    z_m[20:50, 30:70] = 2.0
    rgb = np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    thing = np.zeros(rgb.shape[:2], bool)
    thing[40:100, 60:140] = True

    found = foreground(frame_of(z_m, rgb), boxes((60, 40, 140, 100)))

    np.testing.assert_array_equal(only_mask(found), thing)


def test_pixels_without_depth_belong_to_what_surrounds_them_and_to_nothing_else() -> None:
    z_m = floor_and_wall()
    z_m[20:50, 30:70] = 2.0
    z_m[30:34, 40:50] = 0.0  # a hole in the thing
    z_m[20:50, 70:74] = 0.0  # a shadow beside it
    found = only_mask(foreground(frame_of(z_m), boxes((30, 20, 73, 50))))
    assert found[20:50, 30:70].all()
    assert not found[:, 70:].any()


def test_labels_scores_and_boxes_are_kept() -> None:
    asked = boxes((30, 20, 70, 50), (80, 40, 90, 60), label="chair")
    found = foreground(frame_of(floor_and_wall()), asked)
    assert found.labels == asked.labels
    np.testing.assert_array_equal(found.scores, asked.scores)
    np.testing.assert_array_equal(found.xyxy_px, asked.xyxy_px)


def test_no_boxes_boxes_outside_and_boxes_without_depth_are_no_pixels() -> None:
    z_m = floor_and_wall()
    z_m[:, :40] = 0.0
    frame = frame_of(z_m)
    none = foreground(frame, boxes())
    assert none.masks is not None
    assert none.masks.shape == (0, HEIGHT, WIDTH)
    found = foreground(frame, boxes((400, 10, 450, 30), (5, 10, 25, 30), (-30, -20, -5, -1)))
    assert found.masks is not None
    assert not found.masks.any()


def test_a_frame_without_depth_is_refused_with_what_to_do() -> None:
    with pytest.raises(ToolFailedError, match="has no depth to find masks by"):
        foreground(Frame(FrameHeader(3, "000003")), boxes((0, 0, 9, 9)))


def overlaps(seeds: range, noise: SensorNoise | None, jitter: float) -> Iterator[tuple[float, float]]:
    """Yield the IoU with the exact mask of what is found in a box, and of the filled box itself.

    Args:
        seeds: Rooms.
        noise: What the depth camera does wrong.
        jitter: Each edge of the exact box is moved by up to this share of the box.
    """
    rng = np.random.default_rng(1)
    for seed in seeds:
        room = SyntheticRoom.random(seed, width_px=320, height_px=240)
        exact = room.frames()
        filmed = room.frames(noise=noise, seed=seed) if noise else exact
        for index in range(0, len(exact), 4):
            ids = exact.load(index).instance_ids
            assert ids is not None
            seen = [number for number in np.unique(ids) if number and (ids == number).mean() > 0.004]
            if not seen:
                continue
            truth = np.stack([ids == number for number in seen])
            edges = mask_boxes(truth) + 0.5
            edges += rng.uniform(-jitter, jitter, edges.shape) * np.tile(edges[:, 2:] - edges[:, :2], 2)
            masks = foreground(filmed.load(index), boxes(*map(tuple, edges))).masks
            assert masks is not None
            for mask, true, (left, top, right, bottom) in zip(
                masks, truth, edges.round().astype(int).clip(0), strict=True
            ):
                filled = np.zeros(true.shape, bool)
                filled[top:bottom, left:right] = True
                yield iou(mask, true), iou(filled, true)


def test_exact_boxes_in_a_furnished_room_give_nearly_exact_masks() -> None:
    found, filled = np.array(list(overlaps(range(1), None, 0.0))).T
    assert len(found) >= 15
    assert np.median(found) > 0.97
    assert found.mean() > filled.mean() + 0.15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "jitter", "least_median", "least_mean"),
    [(None, 0.0, 0.97, 0.9), (None, 0.05, 0.9, 0.85), (SensorNoise(bleed_px=0), 0.05, 0.87, 0.82)],
)
def test_masks_over_many_rooms(
    noise: SensorNoise | None, jitter: float, least_median: float, least_mean: float
) -> None:
    """Sensor noise and boxes that are off cost little; a filled box has a mean of 0.7 here."""
    found, filled = np.array(list(overlaps(range(4), noise, jitter))).T
    print(
        f"{len(found)} masks: IoU at 5, 10, 25, 50, 75 %:", np.quantile(found, [0.05, 0.1, 0.25, 0.5, 0.75])
    )
    assert len(found) >= 60
    assert np.median(found) > least_median
    assert found.mean() > max(least_mean, filled.mean() + 0.12)
    assert (found < 0.5).mean() < 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_real_chairs_have_the_masks_a_network_gives_them(weights: Path, test_data: Path) -> None:
    pytest.importorskip("ultralytics")
    pytest.importorskip("ai_edge_litert")
    from spatial_agent.tools.experts.yolo import YoloInstances
    from spatial_agent.tools.media import open_source

    network = YoloInstances(weights / "yolov8n-seg_int8.tflite")
    network.load("cpu")
    found = []
    for frame in open_source(test_data / "dining_room"):
        theirs = network(frame, ["chair"])
        ours = foreground(frame, theirs)
        assert theirs.masks is not None
        assert ours.masks is not None
        found += [iou(one, other) for one, other in zip(ours.masks, theirs.masks, strict=True)]
    assert len(found) >= 12
    assert np.median(found) > 0.65


def test_it_keeps_the_contract_of_experts() -> None:
    from spatial_agent.tools.conformance import check_expert

    verdicts = check_expert(foreground)
    assert [f"{check}: {said}" for check, said in verdicts.items() if not said.startswith("ok")] == []
