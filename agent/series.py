"""The same question for every frame or second of a recording: a measurement as it changes, with margins.

Each row rests on the frames of its own step and on no others, so a thing that moves is measured where it
was. The scene is built anew for each row; a name is looked up among what that row's frames show.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.antecedents import read
from spatial_agent.agent.planner.units import read_quantity
from spatial_agent.agent.session import Asks, objects_of
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import (
    BudgetExceededError,
    InvalidValueError,
    ModelError,
    SourceError,
    StoppedError,
    ToolError,
)
from spatial_agent.tools.labels import matches
from spatial_agent.tools.progress import report
from spatial_agent.tools.scene import Frame, FrameSet

FORMAT = "spatial-agent/series@1"
#: ``"frame"``, ``"second"``, ``"5 frames"``, ``"0.5 s"``; a whole number is a number of frames.
Every = str | int
FRAMES = re.compile(r"(?:(\d{1,9}) ?)?frames?")
#: What makes one row empty and leaves the others as they are.
ROW_FAILS = (ToolError, SourceError, InvalidValueError, BudgetExceededError, ModelError)
LONGEST_WHY = 160


@dataclass(frozen=True)
class Row:
    """The answer for one step.

    Attributes:
        first_frame: First frame it rests on, as the recording counts.
        last_frame: Last one.
        start_s: Time of the first frame, seconds; None where the recording has no times.
        end_s: Time of the last one.
        value: The answer's value; None where there is none.
        unit: Its unit.
        low: 5 % end; None where open, or not a measured number.
        high: 95 % end; None where open, or not a measured number.
        text: The answer as a sentence; empty where there is none.
        why: Why there is no value; or what to know about it.
        objects: Ids of the objects it speaks of, in the scene of this step.
    """

    first_frame: int
    last_frame: int
    start_s: float | None
    end_s: float | None
    value: Json = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    text: str = ""
    why: str | None = None
    objects: tuple[str, ...] = ()

    @property
    def margin(self) -> float | None:
        """The larger half-width of the interval; None where an end is open or there is no number."""
        if self.low is None or self.high is None or not isinstance(self.value, int | float):
            return None
        return max(float(self.value) - self.low, self.high - float(self.value))

    @property
    def at(self) -> float:
        """The middle of the step: seconds where the recording has times, else frames."""
        if self.start_s is not None and self.end_s is not None:
            return (self.start_s + self.end_s) / 2
        return (self.first_frame + self.last_frame) / 2


@dataclass(frozen=True)
class Series:
    """One question answered step by step.

    Attributes:
        question: The question.
        source: What a person calls the recording.
        content: Digest of the recording, by which a series is known to go on from another.
        every: The length of a step.
        rows: One per step so far, in order.
        steps: Steps in all.
        definition: The operator whose meaning applies; empty where no row has a value.
        notes: What to know about all of it, one sentence each.
        stopped: Why it ends before the last step; None where it does not.
    """

    question: str
    source: str
    content: str
    every: Every
    rows: tuple[Row, ...] = ()
    steps: int = 0
    definition: str = ""
    notes: tuple[str, ...] = ()
    stopped: str | None = None

    @property
    def unit(self) -> str | None:
        """The unit of its numbers; None where it has none."""
        return next((row.unit for row in self.rows if row.unit), None)

    @property
    def timed(self) -> bool:
        """Whether its rows have times."""
        return all(row.start_s is not None for row in self.rows)

    def table(self) -> str:
        """Return it as a table in plain text, with units, margins and the reason where a row is empty."""
        from spatial_agent.agent.series_table import table

        return table(self)

    def to_json(self) -> dict[str, Json]:
        """Return it as plain JSON, with its format name."""
        document: dict[str, Json] = {"format": FORMAT} | asdict(self) | {"unit": self.unit}
        rows = [asdict(row) | {"margin": row.margin, "objects": list(row.objects)} for row in self.rows]
        return document | {"rows": rows, "notes": list(self.notes)}


def series(
    agent: Asks, frames: FrameSet, question: str, *, every: Every = "frame", so_far: Series | None = None
) -> Series:
    """Answer the same question for every step of a recording.

    Progress is reported after each row, and whoever waits may stop the work there (`tools.progress`): the
    rows so far are then returned, with the reason in `Series.stopped`, and can be gone on from.

    Args:
        agent: Answers the questions.
        frames: The recording.
        question: The question; names no frame, because each row has frames of its own.
        every: Length of a step: ``"frame"``, ``"second"``, ``"5 frames"``, ``"0.5 s"``, or a number of
            frames.
        so_far: An unfinished series of the same question, recording and step, to go on from.

    Raises:
        QuestionError: If the question cannot be understood.
        InvalidValueError: If the step makes no sense, the recording has no times and the step is in seconds,
            or `so_far` is a series of something else.
    """
    steps = _steps(frames, every)
    done = _begun(so_far, frames, question, every, len(steps))
    for number in range(len(done.rows), len(steps)):
        try:
            report("steps", number, len(steps))
            row, definition = _row(agent, frames, steps[number], question)
        except StoppedError as error:
            return replace(done, stopped=str(error))
        done = replace(done, rows=(*done.rows, row), definition=done.definition or definition)
    _tell_done(len(steps))
    return done


def _tell_done(steps: int) -> None:
    """Report the end; whoever stops the work now has all of it."""
    try:
        report("steps", steps, steps)
    except StoppedError:
        return


def _begun(so_far: Series | None, frames: FrameSet, question: str, every: Every, steps: int) -> Series:
    notes = _notes(frames, question, several=steps < len(frames))
    fresh = Series(question, frames.name, frames.content_hash, every, steps=steps, notes=notes)
    if so_far is None:
        return fresh
    for name, what in (("question", "question"), ("content", "recording"), ("every", "step")):
        if getattr(so_far, name) != getattr(fresh, name):
            raise InvalidValueError(
                f"so_far: expected a series of the same {what}, got {getattr(so_far, name)!r} "
                f"instead of {getattr(fresh, name)!r}; begin anew"
            )
    return replace(fresh, rows=so_far.rows, definition=so_far.definition)


def _row(agent: Asks, frames: FrameSet, step: range, question: str) -> tuple[Row, str]:
    first, last = frames.headers[step[0]], frames.headers[step[-1]]
    place = Row(step[0], step[-1], first.time_s, last.time_s)
    try:
        answer = agent.ask(part_of(frames, step), question)
    except ROW_FAILS as error:
        return replace(place, why=_short(str(error))), ""
    return _filled(place, answer), "" if answer.abstained else answer.definition


def _filled(place: Row, answer: Answer) -> Row:
    if answer.abstained:
        return replace(place, why=_short(answer.reason or answer.text))
    return replace(
        place,
        value=answer.value,
        unit=answer.unit,
        low=answer.low,
        high=answer.high,
        text=answer.text,
        why=_short(answer.reason) if answer.reason else None,
        objects=objects_of(answer),
    )


def part_of(frames: FrameSet, step: Sequence[int]) -> FrameSet:
    """Return some frames of a recording as a recording of their own; times stay those of the whole.

    Args:
        frames: The recording.
        step: Which of its frames, in order.
    """
    chosen = list(step)
    headers = tuple(replace(frames.headers[old], index=new) for new, old in enumerate(chosen))

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        frame = frames.load(chosen[index], rgb=rgb, depth=depth, instances=instances)
        return replace(frame, header=headers[index])

    content = hashlib.sha256(f"{frames.content_hash} frames {chosen}".encode()).hexdigest()
    name = f"{frames.name}, frames {chosen[0]} to {chosen[-1]}"
    return replace(frames, name=name, headers=headers, loader=load, content_hash=content)


def _steps(frames: FrameSet, every: Every) -> list[range]:
    """Return which frames each step rests on; steps of time without a frame are left out."""
    number, in_seconds = _length(every)
    if not in_seconds:
        size = int(number)
        return [range(start, min(start + size, len(frames))) for start in range(0, len(frames), size)]
    times_s = [header.time_s for header in frames.headers if header.time_s is not None]
    if len(times_s) < len(frames):
        raise InvalidValueError(
            f"every: {frames.name} has no times, so it cannot be cut into seconds; "
            "give frames, as in '5 frames'"
        )
    bins = [int((time_s - times_s[0]) / number + 1e-9) for time_s in times_s]
    starts = [place for place in range(len(bins)) if place == 0 or bins[place] != bins[place - 1]]
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(bins)], strict=True)]


def _length(every: Every) -> tuple[float, bool]:
    """Return the length of a step, and whether it is in seconds."""
    text = f"{every} frames" if isinstance(every, int) else " ".join(every.casefold().split())
    in_frames = FRAMES.fullmatch(text)
    said = read_quantity(text) or read_quantity(f"1 {text}")
    number = 0.0
    if in_frames:
        number = float(in_frames[1] or 1)
    elif said and said.unit == "s":
        number = said.value
    if number <= 0.0:
        raise InvalidValueError(
            f"every: expected 'frame', 'second', '5 frames', '0.5 s' or a number of frames, got {every!r}"
        )
    return number, in_frames is None


def _notes(frames: FrameSet, question: str, *, several: bool) -> tuple[str, ...]:
    """Say what rows cannot show: which of several things they speak of, and what moved within one."""
    task = read(question)
    nouns = [item.noun for item in task.entities] if task else []
    labels = Counter(frames.instance_labels.values())
    notes = [
        f"the recording has {count} objects called '{label}'; a row whose frames show only one of them "
        "speaks of that one"
        for label, count in labels.items()
        if count > 1 and any(matches(noun, label) for noun in nouns)
    ]
    if several:
        notes.append("what moves within the frames of one row is measured as if it stood still")
    return tuple(notes)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST_WHY else f"{plain[: LONGEST_WHY - 3]}..."
