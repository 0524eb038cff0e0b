"""The expert that finds things again that left the view, by where their surfaces are."""

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Frame, Tracks


@expert("track.reidentify", resources=Resources(deadline_s=300.0))
def reidentify(tracks: Tracks, frames: tuple[Frame, ...]) -> Tracks:
    """Join tracks that are one thing which left the view and came back, by where it lies in space.

    Things that moved while out of view stay apart.

    Args:
        tracks: What a tracker followed, a new number for everything it lost and found.
        frames: The frames of the tracks, with depth and pose.

    Raises:
        SourceError: If a frame of the tracks is missing, or lacks depth, pose or intrinsics.
    """
    from spatial_agent.tools.mapping.reidentify import reidentified

    return reidentified(tracks, frames)
