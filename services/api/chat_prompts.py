"""Questions as people and evaluation harnesses write them: the question, its options, and the answer's form.

A harness wraps a question in what it says to every model: "These are frames of a video.", "Answer with the
option's letter from the given choices directly.", "'ANSWER: $LETTER'", "<answer></answer>". None of it is
part of the question; what it says of the answer's form is kept.

Sources of the wordings: ``lmms_eval/tasks/vsibench``, VLMEvalKit (``vlmeval/dataset``: VSI-Bench, EASI and
multiple choice), ``inspect_ai/solver/_multiple_choice.py``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Wrap = Literal["none", "line", "tags", "boxed", "json"]
#: Longest text that is taken apart; what is longer is no question of a harness.
LONGEST_READ = 8000


@dataclass(frozen=True)
class AnswerShape:
    """How an answer is to be written.

    Attributes:
        wrap: What stands around it: nothing, "ANSWER: B", tags, a box, or the whole answer as JSON.
        is_short: Whether it is a bare letter, number, name, or yes or no.
        thinks: Whether what it rests on comes before it, in tags of its own.
    """

    wrap: Wrap = "none"
    is_short: bool = False
    thinks: bool = False


PLAIN = AnswerShape()


@dataclass(frozen=True)
class Prompt:
    """A question out of its wrapping.

    Attributes:
        question: What is asked.
        options: The answers offered, with their letters, as written.
        shape: How the answer is to be written.
    """

    question: str
    options: tuple[str, ...] = ()
    shape: AnswerShape = PLAIN


#: Where harnesses of text put a picture; the picture itself is a part of its own.
PLACEHOLDER = re.compile(r"<(?:image|video|img|frames?|pic(?:ture)?)(?:[ _-]?\d{1,4})?/?>", re.IGNORECASE)
#: Whole paragraphs, and what stands before any question of a benchmark.
WRAPPERS = (
    re.compile(r"you are a spatial-reasoning assistant\..{0,2000}</answer>[.\s]*", re.IGNORECASE | re.DOTALL),
    re.compile(
        r"answer the following (?:\w+ )?multiple choice questions?\b[^\n]{0,400}?"
        r"where \W?letters?\W? is one (?:or more )?of [A-Z](?:, ?[A-Z])*\.?"
        r"(?: think step by step before answering\.?)?",
        re.IGNORECASE,
    ),
    re.compile(
        r"^\s*(?:these|the following|here) are (?:\w+ )?(?:frames|images) "
        r"(?:of|from|sampled from) (?:a|the) video\.",
        re.IGNORECASE,
    ),
)
#: Words that only say which picture comes next: "Frame 3:", "Image-1:", "<2.5 seconds>".
CAPTION = re.compile(
    r"\s*[\[(<]?\s*(?:(?:frame|image|img|picture|photo|view|time(?:stamp)?)\s*[-#:]?\s*)?"
    r"\d{1,6}(?:\.\d{1,6})?\s*(?:s|sec|seconds?)?\s*[\])>]?\s*[:.]?\s*",
    re.IGNORECASE,
)
LONGEST_CAPTION = 80
LABEL = re.compile(r"^\s*(?:question|q)\s*:\s*", re.IGNORECASE)
OPTIONS_HEADER = re.compile(
    r"^\s*(?:(?:answer )?(?:options|choices|candidates)(?: are)?"
    r"|(?:select|choose) (?:from|between|one of) the following (?:choices|options|answers))\s*[:.]\s*",
    re.IGNORECASE,
)
OPTION_LINE = re.compile(r"\s*(?:\(([A-Za-z])\)|([A-Za-z])[.):])\s+(?=\S)")
#: Options in one line behind a header: "A. left B. right" or "(A) left (B) right".
INLINE = re.compile(r"(?:^|(?<=[\s,;]))(?:\(([A-Z])\)|([A-Z])[.)])\s*(?=\S)")
#: Options at the end of a question need no header, in brackets or behind its question mark.
FIRST_BRACKET = re.compile(r"(?<=\s)\(A\)\s|(?<=\?\s)A[.)]\s")
INSTRUCTS = re.compile(
    r"^\W*(?:(?:please|now|then|first|finally|only|just|directly|briefly|note|hint"
    r"|you (?:should|must|need to|are required to))[:,]? )*"
    r"(?:answer|respond|response|reply|select|choose|pick|give|provide|output|put|print|return|write|state"
    r"|do not|don['\u2019]t|think|keep|solve|your (?:final )?(?:answer|response)"
    r"|the (?:entire content|last line) of your)\b",
    re.IGNORECASE,
)
OF_FORM = re.compile(
    r"\b(?:letters?|options?|choices?|words?|phrase|numbers?(?! of)|digits?|integer|float|yes or no"
    r"|brief(?:ly)?|direct(?:ly)?|step by step|format|concise(?:ly)?|sentences?|tags?|reasoning"
    r"|expla(?:in|nation)|guess|json)\b|<answer>|\\boxed",
    re.IGNORECASE,
)
LINE_WANTED = re.compile(r"\bANSWER:[\s\[<({$]*(?:LETTERS?|NUMBER|X|YOUR[ _]ANSWER|ANSWER)\b")
SHORT_WANTED = re.compile(
    r"option(?:['\u2019]s)? letter|letter (?:of|only|from|alone)|letter directly|(?:only|just) the letter"
    r"|with (?:the|a) letter|from the given choices|option \(an english letter\)|words? or phrases?"
    r"|(?:single|one)(?: float| integer)? (?:letter|word|number|digit|integer)|anything other than a"
    r"|only (?:a|the) (?:number|word|integer)|(?:with|in|as) an? (?:number|integer|float)"
    r"|(?:answer|say|reply|respond) (?:with )?(?:just |only )?['\"]?yes['\"]? or ['\"]?no\b"
    r"|answer (?:briefly|directly)",
    re.IGNORECASE,
)


def read_prompt(text: str, said_before: str = "") -> Prompt:
    r"""Take a question out of what a harness wraps it in.

    Args:
        text: What the user's message says.
        said_before: What the system's message says, which may ask for a form too.

    >>> prompt = read_prompt("Is it far?\nOptions:\nA. yes\nB. no\nAnswer directly with a letter.")
    >>> prompt.question, prompt.options, prompt.shape.is_short
    ('Is it far?', ('A. yes', 'B. no'), True)
    """
    text = _without_pictures(text.replace("\r\n", "\n").replace("\r", "\n"))
    shape = shape_of(text)
    if shape == PLAIN:
        shape = shape_of(said_before)
    if len(text) > LONGEST_READ:
        return Prompt(text, (), shape)
    bare = _unwrapped(text)
    before, options, after = _split_options(bare.split("\n"))
    question = _question(before) or _question(after) or (bare if not options else "") or text
    return Prompt(question, tuple(options), shape)


def shape_of(text: str) -> AnswerShape:
    """Return the form of answer that words ask for; `PLAIN` where they ask for none."""
    text = text[:LONGEST_READ]
    if LINE_WANTED.search(text):
        return AnswerShape("line", is_short=True)
    if "<answer>" in text:
        return AnswerShape("tags", is_short=True, thinks="<think>" in text)
    if "\\boxed" in text:
        return AnswerShape("boxed", is_short=True)
    return AnswerShape(is_short=True) if SHORT_WANTED.search(text) else PLAIN


def is_caption(words: str) -> bool:
    """Return whether words only say which picture comes next."""
    return len(words) <= LONGEST_CAPTION and bool(CAPTION.fullmatch(words))


def is_instruction(words: str) -> bool:
    """Return whether words only say how to answer."""
    return "?" not in words and bool(INSTRUCTS.match(words)) and bool(OF_FORM.search(words))


def without_instructions(text: str) -> str:
    """Return what a text says beside how to answer, one line each."""
    lines = _unwrapped(text[:LONGEST_READ]).split("\n")
    return "\n".join(line for line in lines if line.strip() and not is_instruction(line))


def _without_pictures(text: str) -> str:
    """Return a text without the places of its pictures, and what stands before each."""
    if not PLACEHOLDER.search(text):
        return text.strip()
    lines = ((line, PLACEHOLDER.sub(" ", line)) for line in text.split("\n"))
    return "\n".join(bare for line, bare in lines if bare == line or not is_caption(bare)).strip()


def _unwrapped(text: str) -> str:
    for wrapper in WRAPPERS:
        text = wrapper.sub("", text).strip()
    return text


def _split_options(lines: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the lines before the options, the options, and the lines behind them."""
    block = _lettered_block(lines)
    if block:
        first, last = block[0], block[-1]
        before = [line for line in lines[:first] if not (OPTIONS_HEADER.fullmatch(_ended(line)))]
        return before, [lines[index].strip() for index in block], list(lines[last + 1 :])
    for index, line in enumerate(lines):
        header = OPTIONS_HEADER.match(line)
        if header and (options := _inline(line[header.end() :])):
            return list(lines[:index]), options, list(lines[index + 1 :])
    whole = "\n".join(lines)
    starts = [found.start() for found in FIRST_BRACKET.finditer(whole)]
    if starts:
        offered = whole[starts[-1] :].split("\n")
        while len(offered) > 1 and (not offered[-1].strip() or is_instruction(offered[-1])):
            offered.pop()
        if options := _inline(" ".join(" ".join(offered).split())):
            return whole[: starts[-1]].split("\n"), options, []
    return list(lines), [], []


def _ended(line: str) -> str:
    """Return a line with the colon that headers may lack."""
    line = line.rstrip()
    return line if line.endswith((":", ".")) else f"{line}:"


def _lettered_block(lines: Sequence[str]) -> list[int]:
    """Return the indices of the last run of lines lettered A, B, C; blank lines may stand between."""
    best: list[int] = []
    for start, line in enumerate(lines):
        if _letter(line) != "A":
            continue
        block = [start]
        for index in range(start + 1, len(lines)):
            if not lines[index].strip():
                continue
            if _letter(lines[index]) != chr(ord("A") + len(block)):
                break
            block.append(index)
        if len(block) > 1:
            best = block
    return best


def _letter(line: str) -> str | None:
    found = OPTION_LINE.match(line)
    return (found[1] or found[2]).upper() if found else None


def _inline(text: str) -> list[str]:
    """Return options that stand in one line, or none where their letters do not run A, B, C."""
    marks: list[int] = []
    for mark in INLINE.finditer(text):
        if (mark[1] or mark[2]) == chr(ord("A") + len(marks)):
            marks.append(mark.start())
    if len(marks) < 2 or marks[0] != 0:
        return []
    return [text[start:end].strip(" ,;") for start, end in pairwise([*marks, len(text)])]


def _question(lines: Sequence[str]) -> str:
    """Return what lines ask, without those that only say how to answer."""
    kept = [line.strip() for line in lines if line.strip() and not is_instruction(line)]
    if not kept:
        # A line alone is the question, whatever it looks like.
        return LABEL.sub("", next((line.strip() for line in lines if line.strip()), ""))
    kept[0] = LABEL.sub("", kept[0])
    text = "\n".join(line for line in kept if line)
    asked, mark, tail = text.rpartition("?")
    said_after = re.split(r"(?<=[.!])\s+", tail.strip())
    if mark and tail.strip() and all(map(is_instruction, said_after)):
        return f"{asked}?"
    return text
