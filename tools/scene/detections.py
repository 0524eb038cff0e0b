"""What a detector or a recorded annotation says about one image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene.arrays import check_array, check_score


@dataclass(frozen=True, eq=False)
class InstanceMask:
    """The pixels of one object in one image.

    Attributes:
        pixels: Shape (H, W) bool.
        label: Class name, lower case.
        score: Confidence, 0 to 1.
        instance_id: Identity across frames where the source knows it (a recorded annotation).
    """

    pixels: NDArray[np.bool_]
    label: str
    score: float = 1.0
    instance_id: int | None = None

    def __post_init__(self) -> None:
        """Check shape and content."""
        object.__setattr__(self, "pixels", check_array("pixels", self.pixels, ("H", "W"), np.bool_))
        if not self.label:
            raise ShapeError("label: expected a class name, got an empty string")
        check_score("score", self.score)


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of one image, with masks where the detector gives them.

    Attributes:
        xyxy_px: Shape (N, 4) float64: left, top, right, bottom edges, pixels.
        scores: Shape (N,) float64, 0 to 1.
        labels: N class names.
        masks: Shape (N, H, W) bool, or None.
    """

    xyxy_px: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: tuple[str, ...]
    masks: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Check that all parts speak of the same N objects."""
        count = len(self.labels)
        object.__setattr__(self, "xyxy_px", check_array("xyxy_px", self.xyxy_px, (count, 4), np.float64))
        object.__setattr__(self, "scores", check_array("scores", self.scores, (count,), np.float64))
        for score in self.scores:
            check_score("scores", float(score))
        if self.masks is not None:
            object.__setattr__(self, "masks", check_array("masks", self.masks, (count, "H", "W"), np.bool_))

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.labels)

    def instance_masks(self) -> tuple[InstanceMask, ...]:
        """Return one `InstanceMask` per box; empty where there are no masks."""
        if self.masks is None:
            return ()
        return tuple(
            InstanceMask(mask, label, float(score))
            for mask, label, score in zip(self.masks, self.labels, self.scores, strict=True)
        )
