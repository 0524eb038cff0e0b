"""Signs that a program can put up in a picture and another can read, as a person reads words.

A magenta frame holds rows of black and white squares: eight bits for each letter. It survives being scaled down
and drawn upon beside it, as a board on a wall does.
"""

import numpy as np
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
    middles_y = (top + square * (np.arange(lines) + 1.5)).astype(int).clip(0, rgb.shape[0] - 1)
    middles_x = (left + square * (np.arange(COLUMNS) + 1.5)).astype(int).clip(0, rgb.shape[1] - 1)
    bits = rgb[np.ix_(middles_y, middles_x)].mean(axis=2) > 127
    return np.packbits(bits.reshape(-1)).tobytes().rstrip(b"\0").decode("ascii", "replace")
