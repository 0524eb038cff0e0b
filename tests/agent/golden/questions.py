"""Golden questions, each with what is true, or with the words in which it must be refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spatial_agent.tools.contract import Json
from tests.agent.golden.rooms import (
    SCAN,
    recorded_distance_m,
    recorded_height_m,
    recorded_ids,
    recorded_width_m,
    room,
)
from tests.agent.golden.truth import EIGHT, FOUR, QUADRANTS, Truth, hour, nearest_option, sector, three

FT, IN, CM, SQFT = 1 / 0.3048, 1 / 0.0254, 100.0, 1 / 0.3048**2
#: What a clean recording may be off: 3 cm, or 5 %.
RECORDED_M, RECORDED_SHARE = 0.03, 0.05
HOME, DEN = Truth(room("example")), Truth(room("4"))


@dataclass(frozen=True)
class Asked:
    """A question.

    Attributes:
        place: Where it is asked; see `rooms.place`, or the path of the sample scan.
        text: The question.
        truth: A number, yes or no, a name, a list, or a letter; None where it must be refused.
        options: The answers offered.
        margin: How far a number may be off.
        unit: Unit of a number.
        refusal: What the reason of a refusal must say.
    """

    place: str
    text: str
    truth: Json = None
    options: tuple[str, ...] = ()
    margin: float = 1e-6
    unit: str | None = None
    refusal: str = ""

    @property
    def name(self) -> str:
        """Short name for reports."""
        where = "scan" if self.place == str(SCAN) else self.place
        return f"{where}: {self.text.splitlines()[0][:60]}"


def options_of(*numbers: str) -> tuple[str, ...]:
    return tuple(f"{letter}. {number}" for letter, number in zip("ABCD", numbers, strict=False))


def letter_of(truth: str, options: Sequence[str]) -> str:
    return next(option[0] for option in options if option[3:].casefold() == truth.casefold())


def chosen(place: str, text: str, truth: str, *names: str) -> Asked:
    options = options_of(*names)
    return Asked(place, text, letter_of(truth, options), options)


def among(place: str, text: str, truth: float, unit: str, *numbers: float) -> Asked:
    options = options_of(*(f"{number:g} {unit}" for number in numbers))
    return Asked(place, text, nearest_option(truth, dict(zip("ABCD", numbers, strict=False))), options)


def length(place: str, text: str, metres: float, unit: str = "m", times: float = 1.0) -> Asked:
    return Asked(place, text, metres * times, unit=unit, margin=0.005 * times)


def _benchmark(place: str, at: str, facing: str, target: str, how: str) -> str:
    asked = {
        "quadrants": (
            "to my front-left, front-right, back-left, or back-right?\nThe directions refer to the quadrants "
            "of a Cartesian plane (if I am standing at the origin and facing along the positive y-axis)."
        ),
        "three": (
            "to my left, right, or back?\nAn object is to my back if I would have to turn at least 135 "
            "degrees in order to face it."
        ),
        "two": f"to the left or the right of the {facing}?",
    }[how]
    return f"If I am standing by the {at} and facing the {facing}, is the {target} {asked}"


def measured_in_rooms() -> list[Asked]:
    """Return questions that a skill answers, in rooms of boxes, where measuring is exact."""
    home, den = HOME, DEN
    gap, m = home.gap_m, "example"
    return [
        length(m, "How far is the sofa from the tv?", gap("sofa", "tv")),
        length(
            m,
            "What is the distance between the bookshelf and the tv in feet?",
            gap("bookshelf", "tv"),
            "ft",
            FT,
        ),
        length(m, "How many centimetres is the lamp from the table?", gap("lamp", "table"), "cm", CM),
        length(
            m,
            "How far apart are the lamp and the sofa, centre to centre?",
            home.between_centres_m("lamp", "sofa"),
        ),
        among(
            m, "How far is the trash can from the sofa?", gap("trash can", "sofa"), "m", 1.1, 2.2, 3.0, 4.4
        ),
        length(m, "How tall is the bookshelf?", home.height_m("bookshelf")),
        length(m, "What is the width of the table in inches?", home.edges_m("table")[0], "in", IN),
        length(m, "How deep is the sofa?", home.edges_m("sofa")[1]),
        Asked(m, "What is the area of the room?", home.room.width_m * home.room.depth_m, unit="m2"),
        Asked(m, "How big is this room in square feet?", home.room.area_m2 * SQFT, unit="ft2", margin=0.5),
        Asked(m, "How many chairs are there?", 2, unit="count"),
        Asked(m, "Are there more chairs than tables?", truth=True),
        Asked(m, "Is there a piano in the room?", truth=False),
        Asked(m, "Is the sofa longer than 2 m?", home.edges_m("sofa")[0] > 2.0),
        Asked(
            m, "Is the lamp taller than the bookshelf?", home.height_m("lamp") > home.height_m("bookshelf")
        ),
        Asked(m, "Is the lamp closer to the sofa than to the tv?", gap("lamp", "sofa") < gap("lamp", "tv")),
        Asked(m, "Is the table within 1 m of the sofa?", gap("table", "sofa") <= 1.0),
        Asked(
            m, "Which is closer to the sofa, the lamp or the table?", home.nearest("sofa", "lamp", "table")
        ),
        Asked(m, "Which is taller, the lamp or the bookshelf?", "bookshelf"),
        chosen(
            m,
            "Measuring from the closest point of each object, which of these objects (lamp, table, tv, trash "
            "can) is the closest to the bookshelf?",
            home.nearest("bookshelf", "lamp", "table", "tv", "trash can"),
            *("tv", "table", "trash can", "lamp"),
        ),
        chosen(
            m,
            _benchmark(m, "sofa", "tv", "lamp", "quadrants"),
            sector(home.turn_deg("sofa", "tv", "lamp"), QUADRANTS, centred=False),
            *("front-right", "back-right", "back-left", "front-left"),
        ),
        chosen(
            m,
            _benchmark(m, "table", "lamp", "trash can", "three"),
            three(home.turn_deg("table", "lamp", "trash can")),
            *("left", "right", "back"),
        ),
        chosen(
            m,
            _benchmark(m, "trash can", "tv", "bookshelf", "two"),
            "left" if home.turn_deg("trash can", "tv", "bookshelf") > 0 else "right",
            *("right", "left"),
        ),
        Asked(
            m,
            "Standing at the table facing the tv, at what o'clock is the bookshelf?",
            hour(home.turn_deg("table", "tv", "bookshelf")),
        ),
        Asked(
            m,
            "Standing at the lamp facing the sofa, where is the tv?",
            sector(home.turn_deg("lamp", "sofa", "tv"), EIGHT),
        ),
        Asked(
            m,
            "Standing at the sofa facing the tv, how many degrees do I have to turn to face the bookshelf?",
            home.turn_deg("sofa", "tv", "bookshelf"),
            unit="deg",
            margin=0.5,
        ),
        Asked(
            m,
            "Is the lamp behind me if I am standing at the table facing the tv?",
            abs(home.turn_deg("table", "tv", "lamp")) > 135,
        ),
        Asked(
            m,
            "On which side of the sofa is the bookshelf, from the sofa's perspective?",
            sector(home.own_turn_deg("sofa", "bookshelf"), FOUR),
        ),
        Asked(
            m,
            "In what order do the table, the trash can and the tv appear?",
            home.seen_in_order("table", "trash can", "tv"),
        ),
        Asked(m, "Is the sofa on the left or right in image 5?", home.side_of_picture(5, "sofa")),
        Asked(
            m,
            "I start at the lamp facing the sofa, go to the trash can, then to the bookshelf: which turns "
            "do I take?",
            home.turns("lamp", "sofa", "trash can", "bookshelf"),
        ),
        length("4", "How far is the refrigerator from the tv?", den.gap_m("refrigerator", "tv")),
        length("4", "How tall is the lamp in cm?", den.height_m("lamp"), "cm", CM),
        Asked("4", "Which is taller, the refrigerator or the tv?", "refrigerator"),
        Asked("4", "Is the desk closer to the lamp than to the tv?", truth=True),
        chosen(
            "4",
            _benchmark("4", "desk", "lamp", "refrigerator", "quadrants"),
            sector(den.turn_deg("desk", "lamp", "refrigerator"), QUADRANTS, centred=False),
            *("back-left", "front-left", "front-right", "back-right"),
        ),
        Asked("4", "What is the area of the room?", den.room.width_m * den.room.depth_m, unit="m2"),
    ]


def refused_in_rooms() -> list[Asked]:
    """Return questions that have no answer in their room."""
    return [
        Asked("example", "How wide is the piano?", refusal="piano"),
        Asked("example", "How far is the chair from the sofa?", refusal="chair-1.*chair-2"),
        Asked("example", "Standing at the piano facing the sofa, where is the tv?", refusal="piano"),
        Asked("example", "Is the sofa on the left or right in image 99?", refusal="no frame 99"),
        Asked("example", "What is to the lamp's own left?", refusal="front"),
        Asked(
            "example",
            "How many chairs are there?",
            options=("A. none at all", "B. a great many"),
            refusal="none of the options",
        ),
    ]


def recorded_scan() -> list[Asked]:
    """Return questions about the sample scan, whose truth comes from its meshes."""
    scan = str(SCAN)

    def about(text: str, metres: float, unit: str = "m", times: float = 1.0) -> Asked:
        margin = max(RECORDED_M, RECORDED_SHARE * metres) * times
        return Asked(scan, text, metres * times, unit=unit, margin=margin)

    return [
        about("How far is the sofa from the tv?", recorded_distance_m("sofa", "tv")),
        about(
            "What is the distance between the fridge and the armchair in cm?",
            recorded_distance_m("fridge", "armchair"),
            *("cm", CM),
        ),
        about("How tall is the bookshelf?", recorded_height_m("bookshelf")),
        about("How wide is the dining table?", recorded_width_m("dining table")),
        Asked(scan, "How many chair(s) are in this room?", len(recorded_ids("chair")), unit="count"),
        Asked(scan, "Is the vase on the dining table?", truth=True),
        Asked(
            scan,
            "Is the plant closer to the armchair than to the sofa?",
            recorded_distance_m("plant", "armchair") < recorded_distance_m("plant", "sofa"),
        ),
        among(
            scan,
            "How far is the cabinet from the sofa?",
            recorded_distance_m("cabinet", "sofa"),
            *("m", 1.0, 2.0, 3.0, 4.5),
        ),
        Asked(scan, "How far is the lamp from the sofa?", refusal="lamp-1.*lamp-2"),
        Asked(scan, "How wide is the piano?", refusal="piano"),
    ]


def open_questions() -> list[Asked]:
    """Return questions that no skill and no grammar answers: a model has to plan."""
    gap = HOME.gap_m
    return [
        Asked(
            "example",
            "Could a robot that is 1 m wide pass between the table and the sofa?",
            gap("table", "sofa") > 1.0,
        ),
        Asked(
            "example",
            "Could a robot that is 1 m wide pass between the tv and the trash can?",
            gap("tv", "trash can") > 1.0,
        ),
        length(
            "example",
            "I want a carpet that reaches from the sofa right up to the tv: how long may it be?",
            gap("sofa", "tv"),
        ),
        Asked(
            "4",
            "Would a board of 2 m fit between the desk and the refrigerator?",
            DEN.gap_m("desk", "refrigerator") > 2.0,
        ),
    ]


def differences() -> list[Asked]:
    """Return questions whose answer has to be computed from several measurements."""
    home, den = HOME, DEN
    return [
        length(
            "example",
            "By how much does the bookshelf tower over the table?",
            home.height_m("bookshelf") - home.height_m("table"),
        ),
        length(
            "4",
            "By how much does the lamp tower over the sofa?",
            den.height_m("lamp") - den.height_m("sofa"),
        ),
    ]


GOLDEN: dict[str, Callable[[], list[Asked]]] = {
    "rooms": measured_in_rooms,
    "refused": refused_in_rooms,
    "scan": recorded_scan,
    "open": open_questions,
    "differences": differences,
}
