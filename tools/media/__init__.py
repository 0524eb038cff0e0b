"""Readers: an image, images, a video or a posed RGB-D scan becomes a `FrameSet`.

One module per layout, each of which says what it recognises and what it needs; `open_source` picks
the one that fits. Nothing is guessed silently: what was found, detected or assumed is in the notes.
"""

if __name__ != "spatial_agent.tools.media":
    raise ImportError(f"import spatial_agent.tools.media, not {__name__}")

from spatial_agent.tools.media.checks import check_geometry
from spatial_agent.tools.media.source import LAYOUTS, open_source

__all__ = ["LAYOUTS", "check_geometry", "open_source"]
