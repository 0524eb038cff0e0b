"""What can be told of pictures by their pixels."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pixels_of(png: bytes) -> NDArray[np.uint8]:
    """Return the pixels of a picture without its outermost ones, which may be of a border; (H, W, 3)."""
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))[4:-4, 4:-4]


def covered_share(pixels: NDArray[np.uint8]) -> float:
    """Return the share of pixels that differ from the colour of the top left corner."""
    differs = np.abs(pixels.astype(int) - pixels[0, 0].astype(int)).max(axis=2) > 12
    return float(differs.mean())


def colour_count(pixels: NDArray[np.uint8]) -> int:
    """Return how many colours there are, told apart by their five highest bits."""
    return len(np.unique(pixels.reshape(-1, 3) >> 3, axis=0))


def brightness(pixels: NDArray[np.uint8]) -> float:
    """Return the median brightness, 0 to 255."""
    return float(np.median(pixels.mean(axis=2)))


def contrast_ratio(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """Return the contrast of two colours as WCAG 2 defines it, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
