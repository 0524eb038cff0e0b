"""What every pixel of an image shows, without telling one thing of a kind from another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene.arrays import check_array


@dataclass(frozen=True, eq=False)
class SemanticMap:
    """A class for every pixel.

    Attributes:
        labels: Number of the class of each pixel, shape (H, W) uint16; a position in `names`.
        names: Class names, lower case.
        score: Probability of that class, shape (H, W) float32 from 0 to 1, or None where unknown.
    """

    labels: NDArray[np.uint16]
    names: tuple[str, ...]
    score: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Check that every pixel has a class that has a name."""
        labels = check_array("labels", self.labels, ("H", "W"), np.uint16)
        if labels.size and labels.max() >= len(self.names):
            raise ShapeError(f"labels: expected numbers below {len(self.names)} (names), got {labels.max()}")
        if not all(self.names):
            raise ShapeError("names: expected class names, got an empty string")
        object.__setattr__(self, "labels", labels)
        if self.score is not None:
            score = check_array("score", self.score, labels.shape, np.float32)
            if score.size and not 0 <= score.min() <= score.max() <= 1:
                raise ShapeError(f"score: expected 0 to 1, got {score.min()} to {score.max()}")
            object.__setattr__(self, "score", score)

    def mask(self, *names: str) -> NDArray[np.bool_]:
        """Return which pixels show one of the classes, shape (H, W); names it does not have are nowhere.

        >>> SemanticMap(np.array([[0, 1]], np.uint16), ("wall", "floor")).mask("floor").tolist()
        [[False, True]]
        """
        numbers = [number for number, name in enumerate(self.names) if name in names]
        shown: NDArray[np.bool_] = np.isin(self.labels, numbers)
        return shown

    def resized(self, height: int, width: int) -> "SemanticMap":
        """Return the same view with another number of pixels, each as the pixel its centre falls on.

        >>> SemanticMap(np.array([[0, 1]], np.uint16), ("wall", "floor")).resized(1, 4).labels.tolist()
        [[0, 0, 1, 1]]
        """
        rows, columns = (
            ((np.arange(wanted) + 0.5) * given / wanted).astype(int)
            for wanted, given in zip((height, width), self.labels.shape, strict=True)
        )
        at = rows[:, None], columns
        return SemanticMap(self.labels[at], self.names, None if self.score is None else self.score[at])

    @property
    def shares(self) -> dict[str, float]:
        """Share of the pixels of each class that is shown, the greatest first."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.names))
        order = np.argsort(-counts, kind="stable")
        return {self.names[k]: float(counts[k] / self.labels.size) for k in order if counts[k]}
