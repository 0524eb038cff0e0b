"""Write the questions of the demonstration with their exact answers, from the truth of the sample scan.

    python examples/scans/living_room_questions.py

Answers follow from ``truth.json`` by the formulas below, which use nothing of this project: box centres and
angles for directions and routes, triangle-to-triangle distances for plain distances, and the benchmark's
5 cm samples of box faces for its own distances.
"""

import json
import math
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "living_room"
TRUTH = json.loads((FOLDER / "truth.json").read_text("utf-8"))
OBJECTS = {item["label"]: item for item in TRUTH["objects"]}
LETTERS = "ABCD"
QUADRANTS = ("front-left", "back-left", "back-right", "front-right")

Question = dict[str, Any]


def main() -> None:
    """Write ``questions.json`` beside the truth."""
    questions = [*benchmark_questions(), *plain_questions()]
    text = json.dumps(questions, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "questions.json").write_text(text, encoding="utf-8")
    for item in questions:
        print(item["truth"], "|", item["question"].replace("\n", " ")[:110])


def benchmark_questions() -> list[Question]:
    """Return one question of each VSI-Bench kind, word for word, directions at all three levels."""
    closest = "Measuring from the closest point of each object,"
    order = ("plant", "tv stand", "bookshelf", "cabinet")
    orders = [
        ", ".join(names)
        for names in (order[::-1], order, ("tv stand", *order[2:], "plant"), order[2:] + order[:2])
    ]
    return [
        asked("object_counting", "How many chair(s) are in this room?", TRUTH["counts"]["chair"]),
        asked(
            "object_abs_distance",
            f"{closest} what is the direct distance between the sofa and the bookshelf (in meters)?",
            round(benchmark_distance_m("sofa", "bookshelf"), 1),
        ),
        asked(
            "object_size_estimation",
            "What is the length of the longest dimension (length, width, or height) of the dining table, "
            "measured in centimeters?",
            float(round(max(OBJECTS["dining table"]["box"]["extent_m"]) * 100)),
        ),
        asked(
            "room_size_estimation",
            "What is the size of this room (in square meters)? \nIf multiple rooms are shown, estimate the "
            "size of the combined space.",
            TRUTH["room"]["area_m2"],
        ),
        nearest_of(closest, "armchair", ("bookshelf", "fridge", "plant", "tv")),
        direction_hard("sofa", "tv", "fridge"),
        direction_medium("armchair", "bookshelf", "sofa"),
        direction_easy("fridge", "tv", "cabinet"),
        asked(
            "obj_appearance_order",
            "What will be the first-time appearance order of the following categories in the video: "
            f"{', '.join(sorted(order))}?",
            LETTERS[orders.index(", ".join(sorted(order, key=lambda name: OBJECTS[name]["first_seen_s"])))],
            orders,
        ),
        route("sofa", "tv", ("coffee table", "bookshelf", "fridge")),
    ]


def plain_questions() -> list[Question]:
    """Return questions as people ask them."""
    return [
        asked("distance", "How far is the sofa from the tv?", surface_distance_m("sofa", "tv")),
        asked(
            "distance",
            "What is the distance between the fridge and the armchair in cm?",
            100 * surface_distance_m("fridge", "armchair"),
        ),
        asked("size", "How tall is the bookshelf?", OBJECTS["bookshelf"]["height_m"]),
        asked("vertical", "Is the vase on the dining table?", True),
        asked("comparison", "Is the plant closer to the armchair than to the sofa?", True),
        asked("ambiguous", "How far is the lamp from the sofa?", None),
        asked("missing", "How wide is the piano?", None),
    ]


def asked(kind: str, question: str, truth: object, options: list[str] | None = None) -> Question:
    """Return a question; a truth of None means that it cannot be answered and should be refused."""
    lettered = {"options": [f"{LETTERS[n]}. {text}" for n, text in enumerate(options)]} if options else {}
    return {"kind": kind, "question": question} | lettered | {"truth": truth}


def nearest_of(opening: str, anchor: str, names: tuple[str, ...]) -> Question:
    """Return the benchmark's question for the closest of four."""
    distances = [benchmark_distance_m(anchor, name) for name in names]
    text = f"{opening} which of these objects ({', '.join(names)}) is the closest to the {anchor}?"
    return asked("object_rel_distance", text, LETTERS[int(np.argmin(distances))], list(names))


def direction_hard(at: str, facing: str, target: str) -> Question:
    """Return the benchmark's question for the quadrant."""
    text = (
        f"If I am standing by the {at} and facing the {facing}, is the {target} to my front-left, "
        "front-right, back-left, or back-right?\nThe directions refer to the quadrants of a Cartesian plane "
        "(if I am standing at the origin and facing along the positive y-axis)."
    )
    options = ["back-left", "back-right", "front-left", "front-right"]
    quadrant = QUADRANTS[int(angle_deg(at, facing, target) % 360 // 90)]
    return asked("object_rel_direction_hard", text, LETTERS[options.index(quadrant)], options)


def direction_medium(at: str, facing: str, target: str) -> Question:
    """Return the benchmark's question for left, right or back."""
    text = (
        f"If I am standing by the {at} and facing the {facing}, is the {target} to my left, right, or back?\n"
        "An object is to my back if I would have to turn at least 135 degrees in order to face it."
    )
    angle = angle_deg(at, facing, target)
    name = "back" if abs(angle) >= 135 else "left" if angle > 0 else "right"
    options = ["left", "back", "right"]
    return asked("object_rel_direction_medium", text, LETTERS[options.index(name)], options)


def direction_easy(at: str, facing: str, target: str) -> Question:
    """Return the benchmark's question for left or right."""
    text = (
        f"If I am standing by the {at} and facing the {facing}, is the {target} to the left or the right of "
        f"the {facing}?"
    )
    options = ["left", "right"]
    name = "left" if angle_deg(at, facing, target) > 0 else "right"
    return asked("object_rel_direction_easy", text, LETTERS[options.index(name)], options)


def route(start: str, facing: str, stops: tuple[str, str, str]) -> Question:
    """Return the benchmark's question for the two turns of a route that begins straight ahead."""
    way = (start, *stops)
    turns = []
    for before, corner, after in zip(way, way[1:], way[2:], strict=False):
        ahead = 2 * centre(corner)[:2] - centre(before)[:2]
        angle = signed_deg(centre(corner)[:2], ahead, centre(after)[:2])
        turns.append("Turn Back" if abs(angle) >= 135 else "Turn Left" if angle > 0 else "Turn Right")
    options = [
        ", ".join(pair)
        for pair in (*permutations(("Turn Left", "Turn Right")), ("Turn Left",) * 2, ("Turn Right",) * 2)
    ]
    text = (
        f"You are a robot beginning at the {start} and facing the {facing}. You want to navigate to the "
        f"{stops[-1]}. You will perform the following actions (Note: for each [please fill in], choose "
        "either 'turn back,' 'turn left,' or 'turn right.'): "
        f"1. Go forward until the {stops[0]} 2. [please fill in] 3. Go forward until the {stops[1]} "
        f"4. [please fill in] 5. Go forward until the {stops[2]}. You have reached the final destination."
    )
    return asked("route_planning", text, LETTERS[options.index(", ".join(turns))], options)


def centre(name: str) -> NDArray[np.float64]:
    """Return the centre of an object's box, metres."""
    return np.array(OBJECTS[name]["box"]["centre_m"])


def angle_deg(at: str, facing: str, target: str) -> float:
    """Return the signed angle from what is faced to a target, left positive."""
    return signed_deg(centre(at)[:2], centre(facing)[:2], centre(target)[:2])


def signed_deg(at: NDArray[np.float64], faced: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Return the signed angle between two directions on the floor, counter-clockwise positive."""
    first, second = math.atan2(*(faced - at)[::-1]), math.atan2(*(target - at)[::-1])
    return math.degrees((second - first + math.pi) % (2 * math.pi) - math.pi)


def surface_distance_m(one: str, other: str) -> float:
    """Return the distance between the meshes of two objects, metres."""
    ids = sorted((OBJECTS[one]["id"], OBJECTS[other]["id"]))
    return float(TRUTH["surface_distances_m"][f"{ids[0]}-{ids[1]}"])


def benchmark_distance_m(one: str, other: str) -> float:
    """Return the least distance between 5 cm samples of two boxes' faces, metres."""
    first, second = face_samples(OBJECTS[one]["box"]), face_samples(OBJECTS[other]["box"])
    return float(min(np.linalg.norm(second - point, axis=1).min() for point in first))


def face_samples(box: dict[str, Any]) -> NDArray[np.float64]:
    """Return points of a 5 cm grid over a box that are more than a quarter edge out in some axis."""
    extent = np.array(box["extent_m"])
    steps = [np.linspace(-edge / 2, edge / 2, max(1, math.ceil(edge / 0.05))) for edge in extent]
    grid = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    outer = grid[(np.abs(grid) > extent / 4).any(axis=1)]
    turned: NDArray[np.float64] = outer @ np.array(box["world_from_box"]).T + np.array(box["centre_m"])
    return turned


if __name__ == "__main__":
    main()
