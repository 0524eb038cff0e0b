"""The sample scans that come with the package."""

from pathlib import Path

from spatial_agent.services.scene_files.errors import UploadError
from spatial_agent.services.scene_files.names import in_words

_SERVICES = Path(__file__).resolve().parents[1]
#: Where they are once installed, and in a checkout.
PLACES = (_SERVICES / "samples", _SERVICES.parent / "examples" / "scans")
MANIFEST = "scan.json"


def sample_names() -> tuple[str, ...]:
    """Return the names of the samples, sorted."""
    return tuple(sorted(_samples()))


def sample_folder(name: str) -> Path:
    """Return the folder of a sample, to be read only.

    Raises:
        UploadError: If there is no such sample.
    """
    samples = _samples()
    if name not in samples:
        known = ", ".join(sorted(samples)) or "none on this machine"
        raise UploadError(f"expected the name of a sample ({known}), got {in_words(name)}")
    return samples[name]


def _samples() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place in PLACES:
        for manifest in place.glob(f"*/{MANIFEST}"):
            found.setdefault(manifest.parent.name, manifest.parent)
    return found
