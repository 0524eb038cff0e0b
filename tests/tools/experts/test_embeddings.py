"""Embeddings are found by content, and those not asked for longest are let go of."""

import numpy as np

from spatial_agent.tools.experts.embeddings import Embeddings, Picture


def flat(value: int, height: int = 2, width: int = 3) -> Picture:
    return np.full((height, width, 3), value, np.uint8)


def test_each_picture_is_embedded_once_wherever_it_lies_in_memory() -> None:
    embedded: list[int] = []

    def embed(pictures: list[Picture]) -> list[str]:
        embedded.append(len(pictures))
        return [f"{picture.shape[0]}x{picture[0, 0, 0]}" for picture in pictures]

    kept: Embeddings[str] = Embeddings(4)
    assert kept.of([flat(1), flat(2), flat(1)], embed) == ["2x1", "2x2", "2x1"]
    assert kept.of([flat(2), flat(1, 3, 2), flat(1)], embed) == ["2x2", "3x1", "2x1"]
    assert embedded == [2, 1]


def test_the_one_not_asked_for_longest_goes_first() -> None:
    embedded: list[int] = []

    def embed(pictures: list[Picture]) -> list[int]:
        embedded.extend(int(picture[0, 0, 0]) for picture in pictures)
        return [0] * len(pictures)

    kept: Embeddings[int] = Embeddings(2)
    for value in (1, 2, 1, 3, 1, 2):
        kept.of([flat(value)], embed)
    assert embedded == [1, 2, 3, 2]
    assert len(kept) == 2


def test_more_at_once_than_are_kept_are_all_answered() -> None:
    kept: Embeddings[int] = Embeddings(2)
    found = kept.of([flat(value) for value in range(5)], lambda pictures: [int(p[0, 0, 0]) for p in pictures])
    assert found == [0, 1, 2, 3, 4]
    assert len(kept) == 2
