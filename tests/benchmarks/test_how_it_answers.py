"""The page that follows one question is what a run gives: the words it quotes, and all of it made anew."""

import re

import pytest
from PIL import Image

from spatial_agent.agent.answer_form import form_in_words, unknown_in_form
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.prompts.template import Template
from tests.walkthrough import page as walkthrough

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOKENS = re.compile(r"about \d+ tokens")


@pytest.fixture(scope="module")
def written() -> str:
    return walkthrough.PAGE.read_text(encoding="utf-8")


def masked(text: str) -> str:
    return TOKENS.sub("about N tokens", text)


def test_the_page_quotes_the_templates_as_they_are(written: str) -> None:
    blocks = [code.strip() for _, code in BLOCK.findall(written)]
    task = parse(walkthrough.QUESTION)
    rules = Template.load("answer").fill(form=form_in_words(task), unit="", unknown=unknown_in_form(task))
    made = f"made anew by python -m {walkthrough.__name__}"
    assert rules.strip() in blocks, made
    assert Template.load("formalise").fill().strip() in blocks, made


def test_blocks_of_the_page_are_nothing_that_runs(written: str) -> None:
    assert {language for language, _ in BLOCK.findall(written)} == {"text", "json"}
    assert walkthrough.QUESTION in written
    assert f"images/{walkthrough.PICTURE.name}" in written


def test_the_picture_is_small(written: str) -> None:
    assert walkthrough.PICTURE.stat().st_size < 150_000
    with Image.open(walkthrough.PICTURE) as shown:
        assert shown.width == walkthrough.WIDTH_PX


@pytest.mark.parametrize(("size", "differ"), [((4, 3), 10.0), ((3, 4), 255.0)])
def test_pictures_differ_by_their_pixels(size: tuple[int, int], differ: float) -> None:
    one, other = Image.new("RGB", (4, 3), (90, 90, 90)), Image.new("RGB", size, (100, 80, 100))
    assert walkthrough.difference(one, other) == differ


@pytest.mark.slow
def test_a_run_gives_the_page_and_the_picture(written: str) -> None:
    run = walkthrough.walk(walkthrough.ROOT / walkthrough.SCAN)
    assert masked(walkthrough.page(run)) == masked(written), f"run python -m {walkthrough.__name__}"
    with Image.open(walkthrough.PICTURE) as shown:
        assert walkthrough.difference(walkthrough.picture(run), shown) < 1.0
    assert run.answer.decided_by == "both"
