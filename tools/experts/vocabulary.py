"""What detectors are asked for: classes of a fixed vocabulary, and how sure they have to be."""

from collections.abc import Sequence

from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.labels import matches, suggest

#: The 80 classes of COCO detection in the order networks number them. Source: Lin et al., Microsoft COCO,
#: 2014 (names as in its instance annotations).
COCO: tuple[str, ...] = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    *("traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog"),
    *("horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella"),
    *("handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite"),
    *("baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle"),
    *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich"),
    *("orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote"),
    *("keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book"),
    *("clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)


def checked_confidence(confidence: float) -> float:
    """Return the score that detections must reach.

    Raises:
        ToolArgumentError: If it is not a number from 0 to 1.
    """
    if not 0 <= confidence <= 1:
        raise ToolArgumentError(f"confidence: expected a number from 0 to 1, got {confidence!r}")
    return confidence


def wanted_classes(prompts: Sequence[str] | None, classes: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of the classes that are meant, plurals and synonyms included.

    Args:
        prompts: What is looked for; None means every class.
        classes: Names of the network's classes.

    Raises:
        ToolArgumentError: If a prompt names none of the classes: that nothing is found of it would say
            nothing about the picture.

    >>> [COCO[number] for number in wanted_classes(["sofas", "television"], COCO)]
    ['couch', 'tv']
    """
    if prompts is None:
        return tuple(range(len(classes)))
    meant = {prompt: {k for k, name in enumerate(classes) if matches(prompt, name)} for prompt in prompts}
    unknown = [prompt for prompt, numbers in meant.items() if not numbers]
    if unknown or not prompts:
        near = sorted({name for prompt in unknown for name in suggest(prompt, classes)})
        hint = f"did you mean {', '.join(near)}?" if near else f"it knows {', '.join(classes)}"
        raise ToolArgumentError(
            f"prompts: expected things this detector knows, got {unknown or prompts!r}; {hint}"
            " (an open-vocabulary detector finds others)"
        )
    return tuple(sorted(set().union(*meant.values())))
