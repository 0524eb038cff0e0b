"""Tracks refuse what cannot be, and join what turned out to be one thing."""

import numpy as np
import pytest

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import InstanceMask, Tracks


def mask(number: int | None, column: int, label: str = "chair", score: float = 0.5) -> InstanceMask:
    pixels = np.zeros((3, 5), bool)
    pixels[1, column] = True
    return InstanceMask(pixels, label, score, number)


def test_a_thing_is_found_in_its_frames() -> None:
    tracks = Tracks((4, 7, 9), ((mask(2, 0), mask(5, 1, "table")), (), (mask(5, 3, "table"),)))
    assert tracks.ids == (2, 5)
    assert list(tracks.of(5)) == [4, 9]
    assert tracks.of(5)[9].pixels[1, 3]
    assert tracks.of(3) == {}


@pytest.mark.parametrize(
    ("frames", "masks", "message"),
    [
        ((1,), (), "several different frames"),
        ((1, 1), ((), ()), "several different frames"),
        ((1,), ((mask(None, 0),),), "different instance_id for each"),
        ((1,), ((mask(2, 0), mask(2, 1)),), "different instance_id for each"),
        ((1, 2), ((mask(2, 0),), (mask(2, 0, "sofa"),)), "'chair' and 'sofa'"),
    ],
)
def test_what_cannot_be_is_refused(
    frames: tuple[int, ...], masks: tuple[tuple[InstanceMask, ...], ...], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Tracks(frames, masks)


def test_joined_things_carry_one_number_and_the_more_frequent_label() -> None:
    tracks = Tracks(
        (0, 1, 2, 3),
        (
            (mask(1, 0, score=0.9), mask(3, 4)),
            (mask(1, 1), mask(2, 3, "stool", 0.8)),
            (mask(1, 2),),
            (mask(2, 4, "stool"),),
        ),
    )
    joined = tracks.renumbered({2: 1})
    assert joined.ids == (1, 3)
    assert list(joined.of(1)) == [0, 1, 2, 3]
    assert {found.label for found in joined.of(1).values()} == {"chair"}
    both = joined.of(1)[1]
    assert np.flatnonzero(both.pixels[1]).tolist() == [1, 3]
    assert both.score == 0.8
    np.testing.assert_array_equal(joined.of(3)[0].pixels, mask(3, 4).pixels)
