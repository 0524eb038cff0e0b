"""The scan's own masks."""

import re
from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.experts import RecordedInstances
from spatial_agent.tools.synthetic import SyntheticRoom


def test_every_recorded_id_becomes_one_mask_with_its_label() -> None:
    room = SyntheticRoom.example()
    frames = room.frames()
    frame = frames.load(0)
    assert frame.instance_ids is not None
    masks = RecordedInstances().segment(frame, frames)
    assert {mask.instance_id for mask in masks} == set(np.unique(frame.instance_ids)) - {0}
    for mask in masks:
        assert mask.instance_id is not None
        assert mask.label == room.objects[mask.instance_id - 1].label
        np.testing.assert_array_equal(mask.pixels, frame.instance_ids == mask.instance_id)


def test_labels_are_lower_case() -> None:
    frames = SyntheticRoom.example().frames()
    loud = replace(
        frames, instance_labels={n: f" {name.upper()} " for n, name in frames.instance_labels.items()}
    )
    assert all(
        mask.label == mask.label.strip().lower() for mask in RecordedInstances().segment(loud.load(0), loud)
    )


def test_a_frame_without_instance_image_has_no_masks() -> None:
    frames = SyntheticRoom.example().frames()
    assert RecordedInstances().segment(frames.load(0, instances=False), frames) == ()


def test_a_scan_without_instances_is_refused_with_what_to_do() -> None:
    frames = SyntheticRoom.example().frames(with_instances=False)
    with pytest.raises(SourceError, match=re.escape("instances 'yolo'")):
        RecordedInstances().segment(frames.load(0), frames)


def test_an_id_without_label_is_refused_by_number() -> None:
    frames = SyntheticRoom.example().frames()
    with pytest.raises(SourceError, match=r"instance \d+ of frame 000000 has no label"):
        RecordedInstances().segment(frames.load(0), replace(frames, instance_labels={}))
