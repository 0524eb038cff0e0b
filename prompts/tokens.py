"""How many tokens words and pictures take, estimated without any model's tokenizer."""

import math
import re

#: Words, runs of digits with the space before them, white space and single other characters: what
#: byte-pair tokenizers split first.
PIECES = re.compile(r"[A-Za-z]+| ?[0-9]+|\s+|[^\sA-Za-z0-9]")
#: A word of up to this many letters is usually one token; each further stretch is another.
WORD_LETTERS = 9
#: OpenAI's tiles: pictures are fitted into the first, their shorter side into the second, pixels.
FIT_PX, SHORT_PX, TILE_PX = 2048, 768, 512
BASE_TOKENS, TILE_TOKENS = 85, 170
#: Qwen2.5-VL takes one token for each square of this side, pixels.
PATCH_PX = 28


def text_tokens(text: str) -> int:
    """Return about how many tokens a text takes, rather too many than too few.

    >>> text_tokens(""), text_tokens("The sofa is 1.52 m from the lamp.")
    (0, 13)
    """
    return math.ceil(sum(_piece_tokens(piece) for piece in PIECES.findall(text)))


def picture_tokens(width: int, height: int) -> int:
    """Return about how many tokens a picture takes: the most of two published ways of counting.

    Source: OpenAI's guide to vision (tiles of 512 pixels), Qwen2.5-VL's report (28-pixel patches).

    Args:
        width: Pixels, as sent.
        height: Pixels, as sent.
    """
    patches = math.ceil(width / PATCH_PX) * math.ceil(height / PATCH_PX)
    return max(patches, _tiled(width, height))


def _piece_tokens(piece: str) -> float:
    if piece[-1].isascii() and piece[-1].isdigit():
        # Many tokenizers take digits one by one, and the space before them by itself.
        return len(piece)
    if piece.isspace():
        # A single space belongs to the word behind it.
        return 0.0 if piece == " " else 1.0
    if piece.isascii():
        return math.ceil(len(piece) / WORD_LETTERS)
    # Letters beyond ASCII are spelled in bytes more often than not.
    return max(1.0, len(piece.encode(errors="replace")) / 2)


def _tiled(width: int, height: int) -> int:
    scale = min(1.0, FIT_PX / max(width, height))
    scale *= min(1.0, SHORT_PX / (min(width, height) * scale))
    tiles = math.ceil(width * scale / TILE_PX) * math.ceil(height * scale / TILE_PX)
    return BASE_TOKENS + TILE_TOKENS * tiles
