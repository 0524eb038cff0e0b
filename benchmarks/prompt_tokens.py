"""What a model reads for each question, in tokens, against the raw frames of the recording.

    python benchmarks/prompt_tokens.py [--scan FOLDER] [--side 1024]

Counted is the request that a model answers from, as the agent sends it: rules, each part of the structured
prompt, and its pictures. `rules` and `read` are what else a question takes: the rules of answering, and the
request that turns it into a task. Raw frames are the recording's own, spread evenly, no larger than the same
side, and nothing else. Tokens are estimated as `prompts.tokens` does, on both sides alike.
"""

import argparse
import re
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track
from rich.table import Table

from spatial_agent.agent.models.chat import ChatRequest, Message, ModelLimits
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.prompts.tokens import picture_tokens, text_tokens
from spatial_agent.services.runtime import Choices, build_agent
from spatial_agent.services.settings import Settings
from spatial_agent.tools.scene import FrameSet, Picture

if TYPE_CHECKING:
    from benchmarks.agent_overhead import QUESTIONS, SAMPLE, instant_reply
else:  # where a script runs, its folder is searched
    from agent_overhead import QUESTIONS, SAMPLE, instant_reply

#: Numbers of frames that models are usually shown of a video; all there are, where it has fewer.
RAW_FRAMES = (8, 16, 32)
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
PICTURE = re.compile(r"^Picture (\d+): ", re.MULTILINE)
BEGINNING = "what data is"


@dataclass(frozen=True)
class Part:
    """One part of a prompt.

    Attributes:
        title: Its heading.
        words: Tokens of its words.
        pictures: Tokens of its pictures.
    """

    title: str
    words: int
    pictures: int

    @property
    def tokens(self) -> int:
        """All of it."""
        return self.words + self.pictures


@dataclass(frozen=True)
class Read:
    """What a model reads for one question, in tokens.

    Attributes:
        parts: The structured prompt.
        rules: The rules of answering.
        reading: The request that turns the question into a task.
    """

    parts: tuple[Part, ...]
    rules: int
    reading: int

    @property
    def prompt(self) -> int:
        """The structured prompt, pictures included."""
        return sum(part.tokens for part in self.parts)

    @property
    def words(self) -> int:
        """Its words alone."""
        return sum(part.words for part in self.parts)

    @property
    def tokens(self) -> int:
        """Everything that is read for the question."""
        return self.prompt + self.rules + self.reading


def read_of(requests: Sequence[ChatRequest]) -> Read:
    """Return what the requests of one question take."""
    answering = next(request for request in requests if request.purpose == "answer")
    reading = [m for request in requests if request.purpose == "formalise" for m in request.messages]
    system, user = answering.messages[0], answering.messages[1]
    prompt = next(part for part in user.parts if isinstance(part, str))
    return Read(parts_of(prompt, user.pictures), text_tokens(system.text), sum(map(message_tokens, reading)))


def parts_of(prompt: str, pictures: Sequence[Picture]) -> tuple[Part, ...]:
    """Return the parts of a prompt: what stands under each heading, with the pictures that it numbers."""
    cut = [0, *(found.start() for found in HEADING.finditer(prompt)), len(prompt)]
    parts = []
    for start, end in zip(cut, cut[1:], strict=False):
        text = prompt[start:end]
        heading = HEADING.match(text)
        shown = [pictures[int(found[1]) - 1] for found in PICTURE.finditer(text)]
        title = heading[1] if heading else BEGINNING
        parts.append(Part(title, text_tokens(text), sum(map(tokens_of, shown))))
    return tuple(parts)


def message_tokens(message: Message) -> int:
    """Return what a message takes."""
    return text_tokens(message.text) + sum(map(tokens_of, message.pictures))


def tokens_of(picture: Picture) -> int:
    """Return what a picture takes."""
    return picture_tokens(picture.rgb.shape[1], picture.rgb.shape[0])


def raw_tokens(frames: FrameSet, side_px: int) -> dict[int, int]:
    """Return what so many frames of a recording take, each no larger than a side."""
    rgb = frames.load(0, depth=False, instances=False).rgb
    if rgb is None:
        raise ValueError(f"{frames.name}: expected frames with pixels")
    height, width = rgb.shape[:2]
    scale = min(1.0, side_px / max(width, height))
    one = picture_tokens(round(width * scale), round(height * scale))
    return {count: count * one for count in (min(count, len(frames)) for count in RAW_FRAMES)}


def parts_table(reads: Mapping[str, Read]) -> Table:
    """Return the parts, each over the questions whose prompt has it."""
    table = Table(
        "part", "questions", "words, median", "pictures, median", "most", title="Tokens of each part"
    )
    titles = dict.fromkeys(part.title for read in reads.values() for part in read.parts)
    for title in titles:
        parts = [part for read in reads.values() for part in read.parts if part.title == title]
        words, pictures = (
            statistics.median(getattr(p, name) for p in parts) for name in ("words", "pictures")
        )
        most = max(part.tokens for part in parts)
        table.add_row(title, f"{len(parts)}/{len(reads)}", f"{words:.0f}", f"{pictures:.0f}", f"{most}")
    return table


def questions_table(reads: Mapping[str, Read], raw: Mapping[int, int]) -> Table:
    """Return the questions, each against raw frames."""
    table = Table(
        "question",
        "words",
        "pictures",
        "prompt",
        "rules",
        "read",
        "all",
        *(f"{count} frames / prompt" for count in raw),
        f"{max(raw)} frames / all",
        title="Tokens a question; raw frames take "
        + ", ".join(f"{n}: {tokens}" for n, tokens in raw.items()),
    )
    for question, read in reads.items():
        own = [read.words, read.prompt - read.words, read.prompt, read.rules, read.reading, read.tokens]
        ratios = [tokens / read.prompt for tokens in raw.values()] + [max(raw.values()) / read.tokens]
        table.add_row(question, *map(str, own), *(f"{ratio:.1f}" for ratio in ratios))
    return table


def measured(scan: Path, side_px: int) -> tuple[dict[str, Read], dict[int, int]]:
    """Return what each question takes, and what raw frames do, by their number."""
    model = Scripted(instant_reply, limits=ModelLimits(picture_side_px=side_px))
    reads = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(cache_folder=Path(folder))
        with build_agent(Choices(model=model), settings=settings) as agent:
            for question in track(QUESTIONS, "questions", transient=True):
                model.requests.clear()
                agent.ask(scan, question)
                reads[question] = read_of(model.requests)
            frames = agent.frames(scan)
    return reads, raw_tokens(frames, side_px)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scan", type=Path, default=SAMPLE)
    parser.add_argument("--side", type=int, default=1024, help="longest side of a picture, pixels")
    chosen = parser.parse_args(arguments)
    reads, raw = measured(chosen.scan, chosen.side)
    console = Console()
    console.print(parts_table(reads))
    console.print(questions_table(reads, raw))
    return 0


if __name__ == "__main__":
    sys.exit(main())
