"""Where the masks of objects come from: the seam between pictures and the scene map."""

from typing import Protocol

import numpy as np

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.scene import Frame, FrameSet, InstanceMask


class Segmenter(Protocol):
    """Finds the objects of single frames."""

    @property
    def name(self) -> str:
        """What it is called in scene ids and traces."""
        ...

    @property
    def version(self) -> str:
        """Changes when its masks may change; it is part of the scene id."""
        ...

    @property
    def at_once(self) -> int:
        """Frames it can be asked about at once, from as many threads."""
        ...

    def segment(self, frame: Frame, frames: FrameSet) -> tuple[InstanceMask, ...]:
        """Return the masks of one frame; called from several threads.

        Args:
            frame: The decoded frame.
            frames: The source it belongs to, for what is known of all of it.

        Raises:
            SourceError: If the frame lacks what the segmenter looks at.
        """
        ...


class RecordedInstances:
    """The scan's own instance images: exact identities, no model."""

    name = "recorded"
    version = "1"
    at_once = 2

    def segment(self, frame: Frame, frames: FrameSet) -> tuple[InstanceMask, ...]:
        """Return one mask per recorded instance of this frame.

        Raises:
            SourceError: If the scan has no instance images, or an id has no label.
        """
        if not frames.has_instances:
            raise SourceError(
                f"{frames.name} ({frames.layout}) has no instance images; expected a scan.json with them, "
                "or a detector: profile 'open', or instances 'yolo'"
            )
        if frame.instance_ids is None:
            return ()
        return tuple(
            InstanceMask(
                frame.instance_ids == number,
                self._label(int(number), frame, frames),
                instance_id=int(number),
            )
            for number in np.flatnonzero(np.bincount(frame.instance_ids.ravel()))
            if number > 0
        )

    def _label(self, number: int, frame: Frame, frames: FrameSet) -> str:
        label = frames.instance_labels.get(number)
        if not label:
            raise SourceError(
                f"{frames.name}: instance {number} of frame {frame.header.name} has no label; "
                'name it under "instances" in scan.json'
            )
        return label.strip().lower()
