"""Pictures made for looking at: marked frames, crops, maps, novel views."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene.arrays import check_array


@dataclass(frozen=True, eq=False)
class Picture:
    """An image with what it shows in words.

    Attributes:
        rgb: Shape (H, W, 3) uint8.
        caption: One sentence: what it shows and what its marks mean.
    """

    rgb: NDArray[np.uint8]
    caption: str

    def __post_init__(self) -> None:
        """Check shape and content."""
        object.__setattr__(self, "rgb", check_array("rgb", self.rgb, ("H", "W", 3), np.uint8))
