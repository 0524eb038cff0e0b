"""Words of a call and the classes of a network with a fixed vocabulary."""

import pytest

from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.vocabulary import COCO, checked_confidence, wanted_classes


def test_coco_is_numbered_as_published() -> None:
    assert len(COCO) == len(set(COCO)) == 80
    published = {0: "person", 13: "bench", 39: "bottle", 56: "chair", 60: "dining table", 79: "toothbrush"}
    assert {number: COCO[number] for number in published} == published


@pytest.mark.parametrize(
    ("prompts", "found"),
    [
        (["chairs"], {"chair"}),
        (["the sofa", "TV"], {"couch", "tv"}),
        (["table"], {"dining table"}),
    ],
)
def test_plurals_synonyms_and_kinds_are_meant(prompts: list[str], found: set[str]) -> None:
    assert {COCO[number] for number in wanted_classes(prompts, COCO)} == found


def test_nothing_asked_for_is_everything() -> None:
    assert wanted_classes(None, COCO) == tuple(range(80))


def test_what_it_does_not_know_is_refused_and_not_reported_as_absent() -> None:
    with pytest.raises(ToolArgumentError, match=r"got \['lamp'\]; it knows person, bicycle"):
        wanted_classes(["chair", "lamp"], COCO)
    with pytest.raises(ToolArgumentError, match="did you mean refrigerator"):
        wanted_classes(["refrigrator"], COCO)
    with pytest.raises(ToolArgumentError, match=r"got \[\]"):
        wanted_classes([], COCO)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    assert checked_confidence(0.5) == 0.5
    with pytest.raises(ToolArgumentError, match="expected a number from 0 to 1"):
        checked_confidence(confidence)
