"""Signs that a program can put up in a picture and another can read, as a person reads words.

A magenta frame holds rows of black and white squares: eight bits for each letter. It survives being scaled,
and to some degree being drawn across, as a board on a wall does.
"""

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

Image = NDArray[np.uint8]
FRAME_RGB = (255, 0, 255)
COLUMNS = 16


def put_up(rgb: Image, text: str, square_px: int = 3) -> Image:
    """Return a picture with a sign in its lower left corner."""
    bits = np.unpackbits(np.frombuffer(text.encode("ascii"), np.uint8))
    padded = np.concatenate([bits, np.zeros(-len(bits) % COLUMNS, np.uint8)]).reshape(-1, COLUMNS)
    board = np.pad(np.repeat(padded[..., None] * 255, 3, axis=2), ((1, 1), (1, 1), (0, 0)))
    board[[0, -1]] = board[:, [0, -1]] = FRAME_RGB
    board = board.astype(np.uint8).repeat(square_px, axis=0).repeat(square_px, axis=1)
    height, width = board.shape[:2]
    if height > rgb.shape[0] or width > rgb.shape[1]:
        raise ValueError(f"a sign of {height} x {width} pixels does not fit {rgb.shape[:2]}")
    signed = rgb.copy()
    signed[-height:, :width] = board
    return signed


def written_on(rgb: Image, text: str) -> Image:
    """Return a picture with a text in large letters on a white board along its upper edge."""
    board = PIL.Image.new("RGB", (rgb.shape[1], 48), "white")
    PIL.ImageDraw.Draw(board).text((8, 6), text, fill="black", font_size=30)
    return np.concatenate([np.asarray(board), rgb[48:]]).astype(np.uint8)


def read(rgb: Image) -> str:
    """Return what the sign in a picture says; nothing where there is no sign that can be read."""
    distance = np.abs(rgb.astype(int) - FRAME_RGB).sum(axis=2)
    rows, columns = np.nonzero(distance < 60)
    if len(rows) < 100:
        return ""
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    square = (right - left) / (COLUMNS + 2)
    lines = round((bottom - top) / square) - 2
    if lines < 1:
        return ""
    middles_y = (top + square * (np.arange(lines) + 1.5)).astype(int).clip(1, rgb.shape[0] - 2)
    middles_x = (left + square * (np.arange(COLUMNS) + 1.5)).astype(int).clip(1, rgb.shape[1] - 2)
    around = [rgb[np.ix_(middles_y + dy, middles_x + dx)] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    bits = np.mean(around, axis=(0, 3)) > 127
    return np.packbits(bits.reshape(-1)).tobytes().rstrip(b"\0").decode("ascii", "replace")
