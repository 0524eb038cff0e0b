"""Each part of a prompt in a few lengths, so that it can be cut to what there is room for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spatial_agent.prompts.cognitive_map import cognitive_map
from spatial_agent.prompts.egocentric import Stand, camera_of, egocentric, observer_at, occupant_of
from spatial_agent.prompts.known import Known, PartName
from spatial_agent.prompts.measurements import measurements
from spatial_agent.prompts.relations import relations, triples
from spatial_agent.prompts.task_card import task_card
from spatial_agent.prompts.template import Template
from spatial_agent.prompts.tokens import picture_tokens, text_tokens
from spatial_agent.prompts.trajectory import trajectory
from spatial_agent.prompts.unknown import unknown
from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.contract import Evidence
from spatial_agent.tools.scene import Picture

TITLES: dict[PartName, str] = {
    "marked_frames": "Marked frames",
    "novel_view": "Imagined views",
    "cognitive_map": "Map from above as a picture",
}
CAPTION, CONCLUSION = 1200, 800
#: Rows of measurements in the shorter draft, where none speaks of the objects asked about.
FEW = 8


@dataclass(frozen=True)
class Draft:
    """A part in one of its lengths.

    Attributes:
        text: Its words, those of its pictures apart.
        pictures: Its pictures.
        omits: What the fullest draft has beyond this one; empty for the fullest itself.
    """

    text: str
    pictures: tuple[Picture, ...] = ()
    omits: str = ""

    def tokens(self, name: PartName) -> int:
        """Return what the draft takes as that part, estimated."""
        return text_tokens(self.words(name, first=1)) + sum(
            picture_tokens(picture.rgb.shape[1], picture.rgb.shape[0]) for picture in self.pictures
        )

    def words(self, name: PartName, first: int) -> str:
        """Return all words of the part, its pictures numbered from `first`."""
        if not self.pictures:
            return self.text
        rows = "\n".join(
            f"Picture {number}: {quoted(picture.caption, CAPTION)}"
            for number, picture in enumerate(self.pictures, start=first)
        )
        shown = Template.load("pictures").fill(title=TITLES[name], rows=rows)
        return f"{self.text}\n\n{shown}" if self.text else shown


def drafts(name: PartName, known: Known) -> tuple[Draft, ...]:
    """Return a part in its lengths, the fullest first; none where it has nothing to say."""
    kept: list[Draft] = []
    for draft in DRAFTERS[name](known):
        # A shorter way to say the same is none.
        is_new = not kept or (draft.text, draft.pictures) != (kept[-1].text, kept[-1].pictures)
        if (draft.text or draft.pictures) and is_new:
            kept.append(draft)
    return tuple(kept)


def stand_of(known: Known) -> Stand | None:
    """Return the viewpoint that the question takes; None where it takes none, or the scene lacks it."""
    scene = known.scene
    if scene is None:
        return None
    ids = {item.id for item in scene.objects}
    if known.observer is not None and {*known.observer} <= ids:
        return observer_at(scene, *known.observer, away=known.facing_away)
    if known.owner is not None and known.owner in ids:
        return occupant_of(scene, known.owner)
    if known.camera is not None:
        frames = sorted(camera.index for camera in scene.cameras)
        # Negative frames count from the end.
        last = known.camera < 0 and -known.camera <= len(frames)
        return camera_of(scene, frames[known.camera] if last else known.camera)
    if known.task_card.intent == "camera_direction" and len(scene.cameras) == 1:
        return camera_of(scene, scene.cameras[0].index)
    return None


def _task_card(known: Known) -> Iterator[Draft]:
    yield Draft(task_card(known.task_card))


def _conclusion(known: Known) -> Iterator[Draft]:
    if known.conclusion:
        yield Draft(Template.load("conclusion").fill(conclusion=quoted(known.conclusion, CONCLUSION)))


def _measurements(known: Known) -> Iterator[Draft]:
    yield Draft(measurements(known.evidence, known.weak))
    rows = [item for item in known.evidence if {*item.finding.objects} & {*known.entities}]
    kept: tuple[Evidence, ...] = tuple(rows) or known.evidence[:FEW]
    omits = f"{len(known.evidence) - len(kept)} of {len(known.evidence)} measurements"
    yield Draft(measurements(kept, known.weak), omits=omits)


def _relations(known: Known) -> Iterator[Draft]:
    if known.scene is None:
        return
    edges = triples(known.scene, known.entities)
    yield Draft(relations(known.scene, edges))
    asked = {*known.entities}
    among = [edge for edge in edges if edge.predicate != "near" or {edge.subject, edge.object} <= asked]
    yield Draft(relations(known.scene, among), omits="relations to neighbours")


def _egocentric(known: Known) -> Iterator[Draft]:
    stand = stand_of(known)
    if known.scene is not None and stand is not None:
        yield Draft(egocentric(known.scene, stand, known.entities))
        omits = "other objects from the viewpoint"
        yield Draft(egocentric(known.scene, stand, known.entities, only=True), omits=omits)


def _cognitive_map(known: Known) -> Iterator[Draft]:
    if known.scene is None:
        return
    pictures = known.pictures.get("cognitive_map", ())
    lengths = (
        (pictures, False, True, ""),
        ((), False, True, "the picture of the map"),
        ((), False, False, "the drawn map"),
        ((), True, False, "the map's other objects"),
    )
    for shown, only, drawn, omits in lengths:
        words = cognitive_map(
            known.scene, known.entities, known.observer, away=known.facing_away, only=only, drawn=drawn
        )
        if words:
            yield Draft(words, shown, omits)


def _trajectory(known: Known) -> Iterator[Draft]:
    if known.scene is not None:
        yield Draft(trajectory(known.scene, known.entities))
        omits = "the camera's path and other objects' first sight"
        yield Draft(trajectory(known.scene, known.entities, only=True), omits=omits)


def _unknown(known: Known) -> Iterator[Draft]:
    yield Draft(unknown(known.scene, known.failures, known.entities))
    short = unknown(known.scene, known.failures[:FEW], known.entities, notes=False)
    yield Draft(short, omits="notes on the scene")


def _pictures_of(name: PartName) -> Callable[[Known], Iterator[Draft]]:
    def lengths(known: Known) -> Iterator[Draft]:
        pictures = known.pictures.get(name, ())
        for count in range(len(pictures), 0, -1):
            omits = f"{len(pictures) - count} of {len(pictures)} {TITLES[name].lower()}"
            yield Draft("", pictures[:count], omits if count < len(pictures) else "")

    return lengths


DRAFTERS: dict[PartName, Callable[[Known], Iterator[Draft]]] = {
    "task_card": _task_card,
    "marked_frames": _pictures_of("marked_frames"),
    "measurements": _measurements,
    "relations": _relations,
    "cognitive_map": _cognitive_map,
    "egocentric": _egocentric,
    "trajectory": _trajectory,
    "novel_view": _pictures_of("novel_view"),
    "unknown": _unknown,
    "conclusion": _conclusion,
}
