"""Things followed through the frames of a recording."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene.detections import InstanceMask


@dataclass(frozen=True, eq=False)
class Tracks:
    """Where things are in each of several frames; a thing keeps its ``instance_id`` through all of them.

    Attributes:
        frames: Index of each frame in its source.
        masks: The masks of each frame: at most one of each thing, none where it is not to be seen.
    """

    frames: tuple[int, ...]
    masks: tuple[tuple[InstanceMask, ...], ...]

    def __post_init__(self) -> None:
        """Check that every mask says whose it is, once a frame, and that labels do not change."""
        if len(self.frames) != len(self.masks) or len(set(self.frames)) != len(self.frames):
            raise InvalidValueError(
                f"tracks: expected masks for each of several different frames, got {len(self.masks)} for "
                f"frames {self.frames}"
            )
        labels: dict[int, str] = {}
        for frame, masks in zip(self.frames, self.masks, strict=True):
            ids = [mask.instance_id for mask in masks if mask.instance_id is not None]
            if len(set(ids)) != len(masks):
                raise InvalidValueError(
                    f"tracks: expected a different instance_id for each mask of frame {frame}"
                )
            for number, mask in zip(ids, masks, strict=True):
                if labels.setdefault(number, mask.label) != mask.label:
                    raise InvalidValueError(
                        f"tracks: instance {number} is called {labels[number]!r} and {mask.label!r}"
                    )

    @property
    def ids(self) -> tuple[int, ...]:
        """Every ``instance_id``, sorted."""
        return tuple(sorted({number for masks in self.masks for number in map(_id, masks)}))

    def of(self, instance_id: int) -> dict[int, InstanceMask]:
        """Return the masks of one thing by frame."""
        return {
            frame: mask
            for frame, masks in zip(self.frames, self.masks, strict=True)
            for mask in masks
            if mask.instance_id == instance_id
        }

    def renumbered(self, numbers: Mapping[int, int]) -> "Tracks":
        """Return the same tracks where things that turned out to be one carry one number.

        Where a frame shows several parts of what is now one thing, the parts become one mask with the
        best of their scores; the label is the one most masks had.

        Args:
            numbers: New ``instance_id`` by old one; others keep theirs.
        """
        votes: dict[int, Counter[str]] = {}
        for mask in (mask for masks in self.masks for mask in masks):
            votes.setdefault(numbers.get(_id(mask), _id(mask)), Counter())[mask.label] += 1
        labels = {number: min(count, key=lambda k: (-count[k], k)) for number, count in votes.items()}
        return Tracks(self.frames, tuple(_renumbered(masks, numbers, labels) for masks in self.masks))


def _renumbered(
    masks: tuple[InstanceMask, ...], numbers: Mapping[int, int], labels: Mapping[int, str]
) -> tuple[InstanceMask, ...]:
    parts: dict[int, list[InstanceMask]] = {}
    for mask in masks:
        parts.setdefault(numbers.get(_id(mask), _id(mask)), []).append(mask)
    return tuple(_united(found, number, labels[number]) for number, found in parts.items())


def _united(parts: list[InstanceMask], number: int, label: str) -> InstanceMask:
    pixels = parts[0].pixels
    for part in parts[1:]:
        pixels = pixels | part.pixels
    score = max(part.score for part in parts)
    return replace(parts[0], pixels=pixels, label=label, score=score, instance_id=number)


def _id(mask: InstanceMask) -> int:
    if mask.instance_id is None:
        raise InvalidValueError("tracks: expected every mask to carry an instance_id")
    return mask.instance_id
