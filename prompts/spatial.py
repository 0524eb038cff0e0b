"""What a model reads before it answers: the parts that matter for the task, within a number of tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spatial_agent.prompts.drafts import TITLES, Draft, drafts
from spatial_agent.prompts.known import ALL, Known, PartName
from spatial_agent.prompts.task_card import TaskCard
from spatial_agent.prompts.template import Template
from spatial_agent.prompts.tokens import text_tokens
from spatial_agent.tools.scene import Picture

__all__ = [
    "ALL",
    "ALWAYS",
    "RELEVANT",
    "Known",
    "PartName",
    "PromptPart",
    "SpatialPrompt",
    "TaskCard",
    "compose",
]

#: Never left out where they have anything to say.
ALWAYS: tuple[PartName, ...] = ("task_card", "conclusion")
#: What else helps with each kind of task, the most helpful first; what is not listed only distracts.
RELEVANT: dict[str, tuple[PartName, ...]] = {
    "count": ("measurements", "marked_frames", "unknown", "cognitive_map"),
    "distance": ("measurements", "marked_frames", "unknown", "relations", "cognitive_map"),
    "size": ("measurements", "marked_frames", "unknown"),
    "room": ("measurements", "unknown", "cognitive_map", "marked_frames"),
    "nearest": ("measurements", "relations", "marked_frames", "unknown", "cognitive_map"),
    "direction": ("measurements", "egocentric", "unknown", "cognitive_map", "marked_frames"),
    "camera_direction": ("measurements", "marked_frames", "egocentric", "unknown"),
    "object_side": ("measurements", "egocentric", "unknown", "cognitive_map", "marked_frames"),
    "vertical": ("measurements", "relations", "marked_frames", "unknown"),
    "order": ("measurements", "trajectory", "unknown", "marked_frames"),
    "route": ("measurements", "cognitive_map", "egocentric", "unknown", "relations"),
    "open": (
        "measurements",
        "marked_frames",
        "egocentric",
        "unknown",
        "relations",
        "cognitive_map",
        "trajectory",
    ),
}
#: Kept for the line that says what was left out.
LAST_LINE_TOKENS = 48


#: A draft and its tokens, which are counted once.
Counted = tuple[Draft, int]


@dataclass(frozen=True)
class PromptPart:
    """One part of a prompt.

    Attributes:
        name: Which part.
        text: Its words.
        pictures: Its pictures, in the order in which its words number them.
        tokens: What words and pictures take, estimated.
    """

    name: PartName
    text: str
    pictures: tuple[Picture, ...] = ()
    tokens: int = 0


@dataclass(frozen=True)
class SpatialPrompt:
    """What a model reads.

    Attributes:
        parts: The parts, in reading order.
        left_out: What was relevant and did not fit, a few words each.
    """

    parts: tuple[PromptPart, ...]
    left_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The words; the last line says what was left out."""
        parts = "\n\n".join(part.text for part in self.parts)
        text = Template.load("spatial_prompt").fill(parts=parts)
        return f"{text}\n\nLeft out for length: {'; '.join(self.left_out)}." if self.left_out else text

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures, in the order in which the words number them from 1."""
        return tuple(picture for part in self.parts for picture in part.pictures)

    @property
    def tokens(self) -> int:
        """What all of it takes, estimated."""
        in_parts = sum(text_tokens(part.text) for part in self.parts)
        return sum(part.tokens for part in self.parts) + text_tokens(self.text) - in_parts


def compose(known: Known, *, parts: Sequence[PartName] = ALL, most_tokens: int = 6000) -> SpatialPrompt:
    """Return the prompt for a task.

    Every part comes in a few lengths. First each gets its shortest, the most relevant part first, then each
    grows as far as there is room, in the same order.

    Args:
        known: Everything known.
        parts: The parts that may appear. `ALL` leaves the choice to what is relevant to the task; any other
            selection is taken as it is.
        most_tokens: How many tokens it may take, pictures included. Only the task itself and the conclusion
            are never left out.
    """
    wanted = {name: versions for name in _by_relevance(known, parts) if (versions := _counted(name, known))}
    room = most_tokens - text_tokens(SpatialPrompt(()).text) - LAST_LINE_TOKENS
    chosen = _chosen(wanted, room)
    left_out = [draft.omits for name, (draft, _) in chosen.items() if draft is not wanted[name][0][0]]
    left_out += [_title(name) for name in wanted if name not in chosen]
    return SpatialPrompt(_numbered(chosen), tuple(left_out))


def _counted(name: PartName, known: Known) -> tuple[Counted, ...]:
    return tuple((draft, draft.tokens(name)) for draft in drafts(name, known))


def _by_relevance(known: Known, parts: Sequence[PartName]) -> tuple[PartName, ...]:
    """Return the parts in use, the most relevant first."""
    relevant = RELEVANT.get(known.task_card.intent, RELEVANT["open"])
    ranked = dict.fromkeys((*ALWAYS, *relevant, "novel_view"))
    if tuple(parts) == ALL:
        return tuple(ranked)
    return tuple(name for name in dict.fromkeys((*ranked, *ALL)) if name in parts)


def _chosen(wanted: Mapping[PartName, tuple[Counted, ...]], room: int) -> dict[PartName, Counted]:
    """Return a draft of every part that fits."""
    chosen: dict[PartName, Counted] = {}
    for name, versions in wanted.items():
        shortest = min(versions, key=lambda version: version[1])
        if name in ALWAYS or shortest[1] <= room:
            chosen[name] = shortest
            room -= shortest[1]
    for name, shortest in list(chosen.items()):
        spare = room + shortest[1]
        chosen[name] = next((version for version in wanted[name] if version[1] <= spare), shortest)
        room = spare - chosen[name][1]
    return chosen


def _numbered(chosen: Mapping[PartName, Counted]) -> tuple[PromptPart, ...]:
    """Return the parts in reading order, their pictures numbered throughout."""
    found: list[PromptPart] = []
    first = 1
    for name in (name for name in ALL if name in chosen):
        draft, tokens = chosen[name]
        found.append(PromptPart(name, draft.words(name, first), draft.pictures, tokens))
        first += len(draft.pictures)
    return tuple(found)


def _title(name: PartName) -> str:
    return "map from above" if name == "cognitive_map" else TITLES.get(name, name.replace("_", " ")).lower()
