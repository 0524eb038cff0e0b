"""The web page, built once and served by the API."""

if __name__ != "spatial_agent.services.web":
    raise ImportError(f"import spatial_agent.services.web, not {__name__}")

from pathlib import Path

__all__ = ["bundle_folder"]

_BUNDLE = Path(__file__).with_name("bundle")


def bundle_folder() -> Path | None:
    """Return the folder that the built page is in, or None where it has not been built."""
    return _BUNDLE if (_BUNDLE / "index.html").is_file() else None
