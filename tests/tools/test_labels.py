"""Names: plurals, synonyms, kinds and suggestions."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.tools import labels
from spatial_agent.tools.labels import (
    LABEL_SEPARATOR,
    kinds_of,
    main_name,
    matches,
    normalise,
    same_name,
    singular,
    suggest,
)

TABLE = tomllib.loads(Path(labels.__file__).with_name("synonyms.toml").read_text("utf-8"))
GROUPS = TABLE["synonyms"]
COCO = """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball
bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife,
spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair,
couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone,
microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier,
toothbrush"""
COCO_80 = [" ".join(name.split()) for name in COCO.split(",")]
#: How people say what other data sets (ScanNet, ADE20K, VSI-Bench) call by another name.
SAID = {
    "couch": "sofa",
    "settee": "sofa",
    "television": "tv",
    "TV monitor": "tv",
    "fridge": "refrigerator",
    "houseplant": "potted plant",
    "plant": "potted plant",
    "bin": "trash can",
    "wastebasket": "trash can",
    "trash bin": "garbage bin",
    "bedside table": "nightstand",
    "night stand": "nightstand",
    "bookcase": "bookshelf",
    "cupboard": "cabinet",
    "dresser": "chest of drawers",
    "chests of drawers": "dresser",
    "rug": "carpet",
    "drapes": "curtain",
    "swivel chair": "office chair",
    "mobile phone": "cell phone",
    "computer screen": "monitor",
    "washbasin": "sink",
    "painting": "picture",
    "worktop": "counter",
    "closet": "wardrobe",
    "footstool": "ottoman",
    "faucet": "tap",
    "hairdryer": "hair drier",
    "mouse": "computer mouse",
    "heater": "radiator",
}
PLURALS = {
    "chairs": "chair",
    "boxes": "box",
    "dishes": "dish",
    "benches": "bench",
    "shelves": "shelf",
    "bookshelves": "bookshelf",
    "knives": "knife",
    "leaves": "leaf",
    "loaves": "loaf",
    "stoves": "stove",
    "microwaves": "microwave",
    "batteries": "battery",
    "keys": "key",
    "cookies": "cookie",
    "potatoes": "potato",
    "shoes": "shoe",
    "buses": "bus",
    "glasses": "glass",
    "mattresses": "mattress",
    "lenses": "lens",
    "vases": "vase",
    "houses": "house",
    "bookcases": "bookcase",
    "cacti": "cactus",
    "cactuses": "cactus",
    "people": "person",
    "children": "child",
    "computer mice": "computer mouse",
    "chests of drawers": "chest of drawers",
    "scissors": "scissors",
    "stairs": "stairs",
    "headphones": "headphones",
}


@pytest.mark.parametrize("plural", PLURALS)
def test_a_plural_becomes_its_singular_and_a_singular_stays(plural: str) -> None:
    assert singular(plural) == PLURALS[plural]
    assert singular(PLURALS[plural]) == PLURALS[plural]


@pytest.mark.parametrize(
    "written", ["The Office Chairs", "office_chair", "office-chair", " an  office chair(s)! "]
)
def test_case_articles_hyphens_and_number_do_not_matter(written: str) -> None:
    assert normalise(written) == "office chair"


@pytest.mark.parametrize("asked", SAID)
def test_a_synonym_finds_the_label_both_ways(asked: str) -> None:
    assert matches(asked, SAID[asked])
    assert matches(f"the {asked}", SAID[asked].upper())
    assert matches(SAID[asked], asked)


@pytest.mark.parametrize("label", COCO_80)
def test_every_coco_label_is_found_by_its_own_name_and_by_no_other(label: str) -> None:
    assert matches(label, label)
    assert [other for other in COCO_80 if other != label and matches(label, other)] == []


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        ("chair", "office chair"),
        ("chairs", "armchair"),
        ("table", "dining table"),
        ("table", "coffee table"),
        ("lamp", "floor lamp"),
        ("light", "lamp"),
        ("light", "ceiling light"),
        ("cabinet", "kitchen cabinet"),
        ("plant", "cactus"),
        ("furniture", "swivel chair"),
        ("person", "woman"),
        ("object", "sofa"),
        ("things", "floor lamp"),
    ],
)
def test_a_kind_finds_its_members_and_never_the_other_way_round(asked: str, label: str) -> None:
    assert matches(asked, label)
    assert not matches(label, asked)


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        ("sofa", "chair"),
        ("dog", "hot dog"),
        ("bear", "teddy bear"),
        ("can", "trash can"),
        ("bin", "storage bin"),
        ("table", "bedside table"),
        ("table", "table lamp"),
        ("car", "toy car"),
        ("glass", "glasses"),
        ("tv", "tv stand"),
        ("bed", "dog bed"),
        ("door", "door handle"),
        ("monitor", "tv"),
        ("black chair", "chair"),
        ("", "chair"),
    ],
)
def test_things_that_only_sound_alike_are_kept_apart(asked: str, label: str) -> None:
    assert not matches(asked, label)


def test_glasses_may_be_eyewear_or_several_glasses() -> None:
    assert matches("glasses", "eyeglasses")
    assert matches("glasses", "wine glass")


def test_a_label_with_several_names_matches_by_each() -> None:
    for label in ("sofa; couch; lounge", "sofa/couch", "lounge, couch"):
        assert matches("settee", label)
        assert not matches("chair", label)


def test_the_same_name_is_narrower_than_a_match() -> None:
    assert same_name("Lamps", "lamp")
    assert not same_name("lamp", "floor lamp")
    assert not same_name("couch", "sofa")


def test_no_name_stands_in_two_groups_and_all_are_normalised() -> None:
    names = [name for main, others in GROUPS.items() for name in (main, *others)]
    assert sorted(names) == sorted(set(names))
    assert {main for main in GROUPS if normalise(main) != main} == set()
    assert len(GROUPS) >= 60


def test_no_kind_is_a_kind_of_itself_by_a_roundabout_way() -> None:
    for kind, members in TABLE["kinds"].items():
        for member in members:
            assert main_name(member) not in kinds_of(kind) - {main_name(kind)}, (kind, member)


@pytest.mark.parametrize(
    ("asked", "present", "meant"),
    [
        ("coutch", ["sofa", "table"], ("sofa",)),
        ("refridgerater", ["refrigerator", "sofa"], ("refrigerator",)),
        ("tabel", ["dining table", "sofa", "table"], ("table",)),
        ("office chair", ["chair", "table"], ("chair",)),
        ("black chair", ["chair", "table"], ("chair",)),
        ("piano", ["chair", "table"], ()),
        ("", ["chair"], ()),
    ],
)
def test_what_comes_near_is_suggested(asked: str, present: list[str], meant: tuple[str, ...]) -> None:
    assert suggest(asked, present)[: len(meant) or 1] == meant


words = st.text(st.characters(categories=["L", "N", "P", "Z"]), max_size=40)


@given(words)
def test_every_name_matches_itself(text: str) -> None:
    if any(map(normalise, LABEL_SEPARATOR.split(text))):
        assert matches(text, text)


@given(words, st.sampled_from(COCO_80))
def test_no_text_breaks_a_suggestion(text: str, label: str) -> None:
    assert set(suggest(text, [label])) <= {label}
