"""When an object first appears."""

from collections import defaultdict
from collections.abc import Sequence

from spatial_agent.tools.mapping.lifting import Sighting
from spatial_agent.tools.scene import FrameHeader

#: An object is seen in a frame where it covers this share of the pixels.
SEEN_SHARE = 0.001


def first_seen(
    sightings: Sequence[Sighting], headers: Sequence[FrameHeader]
) -> tuple[int | None, float | None]:
    """Return the first frame in which an object covers at least 0.1 % of the pixels, and its time.

    Args:
        sightings: All masks of the object, also those without depth.
        headers: Those of the source.

    Returns:
        Index of the frame, None where it never covers that much; seconds, None where the source has no times.
    """
    share: dict[int, float] = defaultdict(float)
    for sighting in sightings:
        share[sighting.frame] += sighting.image_share
    seen = [frame for frame in sorted(share) if share[frame] >= SEEN_SHARE]
    if not seen:
        return None, None
    return seen[0], headers[seen[0]].time_s
