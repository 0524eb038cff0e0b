"""Names of things: plurals, synonyms, kinds, and "did you mean".

Asking for "couch" finds what a detector called "sofa"; asking for "chair" finds an "office chair",
because an office chair is a chair; asking for "office chair" never finds something that is only known
to be a "chair". The table of synonyms and kinds is ``synonyms.toml``.

A name is a kind of what its last word says ("kitchen cabinet" of "cabinet") unless the table says
that it is not ("hot dog"). Labels that list several names ("sofa; couch", "door/gate") match by any.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path

#: Words whose -shelves, -knives become -shelf, -knife.
VES_ENDINGS = {"shelves": "shelf", "knives": "knife", "leaves": "leaf"}
LABEL_SEPARATOR = re.compile(r"[;/,]")
ARTICLES = re.compile(r"(?:the|a|an|this|that|these|those|my|your|our|some|any) ")


def singular(noun: str) -> str:
    """Return the singular of a lower-case noun of one or more words; a singular stays as it is.

    In "chests of drawers" the word before "of" is the one that counts. "glasses" gives "glass";
    that it may also mean eyeglasses is known to `matches`.

    >>> singular("bookshelves"), singular("glass"), singular("dishes"), singular("office chairs")
    ('bookshelf', 'glass', 'dish', 'office chair')
    """
    head, of, rest = noun.partition(" of ")
    start, space, last = head.rpartition(" ")
    return f"{start}{space}{_singular_word(last)}{of}{rest}"


def _singular_word(word: str) -> str:
    known = vocabulary()
    if word in known.irregular_plurals:
        return known.irregular_plurals[word]
    if (
        word in known.no_plural
        or len(word) < 3
        or not word.endswith("s")
        or word.endswith(("ss", "us", "is"))
    ):
        return word
    for plural, single in VES_ENDINGS.items():
        if word.endswith(plural):
            return word.removesuffix(plural) + single
    return word[:-1] if word in known.keep_e else _regular_singular(word)


def _regular_singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    stem = word.removesuffix("es")
    if word.endswith("ouses"):
        return word[:-1]
    adds_es = stem in vocabulary().no_plural or stem.endswith(("ch", "sh", "x", "ss", "zz", "o", "us"))
    return stem if stem != word and adds_es else word[:-1]


def normalise(label: str) -> str:
    """Return a name in the form in which names are compared.

    Lower case, one space between words, no article, hyphen, underscore or punctuation, the head word
    singular; the "(s)" of "chair(s)" goes too.

    >>> normalise("The Book_Shelves"), normalise("chair(s)")
    ('book shelf', 'chair')
    """
    return singular(_plain(label))


def _plain(label: str) -> str:
    text = unicodedata.normalize("NFKC", label).casefold().replace("\u2019", "'")
    text = re.sub(r"\(e?s\)", "", text)
    text = " ".join(re.sub(r"[^\w']|_", " ", text).split())
    while article := ARTICLES.match(text):
        text = text[article.end() :]
    return text


@dataclass(frozen=True)
class Vocabulary:
    """The tables of ``synonyms.toml``, ready for looking up.

    Attributes:
        anything: Words that mean any object.
        canonical: Main name of every name that is in a group of synonyms.
        kinds_above: For a main name, the main names of the kinds it belongs to.
        not_kinds: Names whose last word is not what they are.
        not_kind_first_words: First words of further such names.
        irregular_plurals: Singular of each plural that no rule gives.
        no_plural: Words that stay as they are, and singulars in -s.
        keep_e: Plurals that lose only their s where a rule would take more.
    """

    anything: frozenset[str]
    canonical: Mapping[str, str]
    kinds_above: Mapping[str, frozenset[str]]
    not_kinds: frozenset[str]
    not_kind_first_words: frozenset[str]
    irregular_plurals: Mapping[str, str]
    no_plural: frozenset[str]
    keep_e: frozenset[str]


@cache
def vocabulary() -> Vocabulary:
    """Return the tables, read once."""
    table = tomllib.loads(Path(__file__).with_name("synonyms.toml").read_text("utf-8"))
    canonical = {name: main for main, others in table["synonyms"].items() for name in (main, *others)}
    above: dict[str, set[str]] = {}
    for kind, members in table["kinds"].items():
        for member in members:
            above.setdefault(canonical.get(member, member), set()).add(canonical.get(kind, kind))
    plurals = table["plurals"]
    return Vocabulary(
        anything=frozenset(table["anything"]),
        canonical=canonical,
        kinds_above={name: frozenset(kinds) for name, kinds in above.items()},
        not_kinds=frozenset(table["not_kinds"]["names"]),
        not_kind_first_words=frozenset(table["not_kinds"]["first_words"]),
        irregular_plurals=plurals["irregular"],
        no_plural=frozenset(plurals["unchanged"]) | frozenset(plurals["end_in_s"]),
        keep_e=frozenset(plurals["keep_e"]),
    )


def main_name(name: str) -> str:
    """Return the one name that stands for a name and all its synonyms.

    "glasses" is looked up before its singular, so it names eyewear and not a drinking glass.

    >>> main_name("Couches"), main_name("floor lamps")
    ('sofa', 'floor lamp')
    """
    canonical, single = vocabulary().canonical, normalise(name)
    return canonical.get(_plain(name), canonical.get(single, single))


@lru_cache(maxsize=4096)
def kinds_of(label: str) -> frozenset[str]:
    """Return the main names of all that a label is: itself and every kind above it."""
    seen: set[str] = set()
    waiting = {main_name(part) for part in LABEL_SEPARATOR.split(label)}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= _directly_above(name) - seen
    return frozenset(seen - {""})


def _directly_above(name: str) -> set[str]:
    words = vocabulary()
    above = set(words.kinds_above.get(name, ()))
    first, _, shorter = name.partition(" ")
    is_kind = name not in words.not_kinds and first not in words.not_kind_first_words
    if shorter and is_kind and " of " not in name:
        above.add(words.canonical.get(shorter, shorter))
    return above


def matches(asked: str, label: str) -> bool:
    """Return whether a thing of that label is one of what was asked for.

    A plural that is itself the name of something ("glasses") finds both readings.

    Args:
        asked: The noun of the question, singular or plural.
        label: The label of the object.

    >>> matches("couches", "sofa"), matches("chair", "office chair"), matches("office chair", "chair")
    (True, True, False)
    """
    wanted = _wanted(asked)
    return bool(wanted & vocabulary().anything) or bool(wanted & kinds_of(label))


@lru_cache(maxsize=4096)
def _wanted(asked: str) -> frozenset[str]:
    canonical, parts = vocabulary().canonical, LABEL_SEPARATOR.split(asked)
    singles = {normalise(part) for part in parts}
    return frozenset({*map(main_name, parts), *(canonical.get(name, name) for name in singles)} - {""})


def same_name(asked: str, label: str) -> bool:
    """Return whether the label is the very name that was asked for, plurals aside."""
    return normalise(asked) == normalise(label) or _plain(asked) == _plain(label)


def suggest(asked: str, labels: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Return the labels that may have been meant, likeliest first; empty where none comes near.

    Considered are misspellings of a label or of one of its synonyms, and labels that share the head
    word with what was asked ("chair" for "office chair").
    """
    known: dict[str, str] = {}
    for label in sorted(set(labels)):
        mains = {main_name(part) for part in LABEL_SEPARATOR.split(label)}
        same = [name for name, main in vocabulary().canonical.items() if main in mains]
        for name in (normalise(label), *same):
            known.setdefault(name, label)
    wanted = normalise(asked)[:60]
    close = get_close_matches(wanted, known, n=3 * most, cutoff=0.75)
    related = [name for name in known if matches(name, wanted) or _share_head(wanted, name)]
    return tuple(dict.fromkeys(known[name] for name in (*close, *related)))[:most]


def _share_head(one: str, other: str) -> bool:
    return one.rpartition(" ")[2] == other.rpartition(" ")[2]
