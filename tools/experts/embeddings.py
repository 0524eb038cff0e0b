"""What a network made of the last few pictures, found again by their content."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.content import content_hash

Picture = NDArray[np.uint8]
Embedding = TypeVar("Embedding")


class Embeddings(Generic[Embedding]):
    """Keeps the embeddings of the pictures used last; several prompts on one picture then embed it once.

    Args:
        most: Pictures kept.
    """

    def __init__(self, most: int) -> None:
        """Keep nothing yet."""
        self._most = most
        self._kept: OrderedDict[str, Embedding] = OrderedDict()

    def __len__(self) -> int:
        """Return how many pictures are kept."""
        return len(self._kept)

    def of(
        self, pictures: Sequence[Picture], embed: Callable[[list[Picture]], Sequence[Embedding]]
    ) -> list[Embedding]:
        """Return the embedding of each picture.

        Args:
            pictures: Shape (H, W, 3) each.
            embed: Embeds pictures that are not kept, all at once.
        """
        keys = [content_hash(picture) for picture in pictures]
        missing = {key: picture for key, picture in zip(keys, pictures, strict=True) if key not in self._kept}
        if missing:
            self._kept.update(zip(missing, embed(list(missing.values())), strict=True))
        for key in keys:
            self._kept.move_to_end(key)
        found = [self._kept[key] for key in keys]
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return found

    def clear(self) -> None:
        """Keep nothing any more: what was made on another device, say."""
        self._kept.clear()
