"""Ask a scan questions: the sample room against its exact truth, or any scan of your own.

python examples/demo.py                     # the sample room, eight kinds of questions
python examples/demo.py --scan FOLDER       # what is in this scan, measured
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.answer import Answer
from spatial_agent.services import open_agent
from spatial_agent.services.console import print_licences, progress
from spatial_agent.services.pictures import write_answer_picture, write_scene_folder
from spatial_agent.tools.errors import SpatialAgentError
from spatial_agent.tools.scene import SceneMap

SAMPLE = Path(__file__).parent / "scans" / "living_room"
OUT = Path("out/demo")
#: A measured number is right within 5 % or 3 cm of the truth.
RELATIVE_TOLERANCE = 0.05
TOLERANCE_M = {"m": 0.03, "cm": 3.0}
MOST_OBJECTS = 4
LONGEST_QUESTION = 110
VERDICTS = {True: "right", False: "WRONG", None: ""}

#: Wide enough to read where the output goes to a file.
console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)


def main() -> int:
    """Run the demonstration; 0 when every answer that has a truth is right."""
    parser = argparse.ArgumentParser(description="Ask a scan questions.")
    parser.add_argument("--scan", type=Path, default=SAMPLE, help="a scan folder, video or scene file")
    parser.add_argument("--profile", default="recorded", help="recorded, open or best")
    parser.add_argument("--instances", help="how objects are found: yolox, yolo (AGPL-3.0), ...")
    parser.add_argument("--weights", type=Path, help="weights of the detector")
    parser.add_argument("--runner", default="local", help="local (this process) or ray (actors)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the map and the pictures")
    chosen = parser.parse_args()
    try:
        with open_agent(
            chosen.profile, instances=chosen.instances, weights=chosen.weights, runner=chosen.runner
        ) as agent:
            right = show(agent, chosen.scan, chosen.out)
            print_licences(agent.licences)
    except SpatialAgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if right else 1


def show(agent: SpatialAgent, scan: Path, out: Path) -> bool:
    """Measure a scan, ask it questions, write its map; return whether no answer was wrong."""
    with progress(quiet=False):
        loaded = agent.scene(scan)
    truths = scan / "questions.json"
    questions = (
        json.loads(truths.read_text("utf-8")) if truths.is_file() else list(own_questions(loaded.scene))
    )
    table = Table(
        "kind", "question", "answer", "truth", "", title=f"{scan.name}: {len(loaded.scene.objects)} objects"
    )
    verdicts = []
    for number, item in enumerate(questions, start=1):
        answer = agent.ask(scan, item["question"], options=item.get("options", ()))
        verdict = is_right(answer, item["truth"]) if "truth" in item else None
        verdicts.append(verdict)
        cells = (item.get("kind", ""), asked(item), said(answer, item), told(item), VERDICTS[verdict])
        table.add_row(*map(escape, cells))
        write_answer_picture(loaded, answer, out / f"answer-{number:02d}.png")
    console.print(table)
    for path in write_scene_folder(loaded, out):
        console.print(f"wrote {path}", soft_wrap=True)
    console.print(f"wrote {out}/answer-01.png to answer-{len(questions):02d}.png")
    return False not in verdicts


def own_questions(scene: SceneMap) -> Iterator[dict[str, Any]]:
    """Yield questions about what a scan turned out to hold."""
    labels = [item.label for item in scene.objects]
    for label in dict.fromkeys(labels):
        yield {"question": f"How many {label}(s) are in this room?"}
    ids = [item.id for item in scene.objects][:MOST_OBJECTS]
    for name in ids:
        yield {"question": f"How tall is {name}?"}
    for one, other in itertools.combinations(ids, 2):
        yield {"question": f"How far is {one} from {other}?"}
    for at, facing, target in itertools.islice(itertools.permutations(ids, 3), 2):
        yield {"question": f"Standing at {at}, facing {facing}, where is {target}?"}
    yield {"question": "What is the area of the room?"}


def is_right(answer: Answer, truth: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    """Compare an answer with the truth: numbers within tolerance, everything else exactly."""
    if answer.abstained or truth is None:
        return answer.abstained and truth is None
    if answer.choice is not None:
        return bool(answer.choice == truth)
    if isinstance(truth, float):
        allowed = max(RELATIVE_TOLERANCE * abs(truth), TOLERANCE_M.get(answer.unit or "", 0.0))
        return abs(float(answer.value) - truth) <= allowed
    return bool(answer.value == truth)


def asked(item: dict[str, Any]) -> str:
    """Return the beginning of a question."""
    return shorten(item["question"], LONGEST_QUESTION, placeholder=" ...")


def said(answer: Answer, item: dict[str, Any]) -> str:
    """Return an answer as people read it: letters with what stands behind them, numbers with their margin."""
    if answer.choice is not None:
        return option_of(item, answer.choice)
    if answer.abstained:
        return f"refused: {shorten(str(answer.reason), LONGEST_QUESTION, placeholder=' ...')}"
    if answer.margin is None:
        return shorten(answer.text, LONGEST_QUESTION, placeholder=" ...")
    return f"{answer.value:.4g} {answer.unit} ± {answer.margin:.2g}"


def told(item: dict[str, Any]) -> str:
    """Return the truth as text."""
    truth = item.get("truth", "")
    if truth is None:
        return "cannot be answered"
    if "options" in item and truth:
        return option_of(item, truth)
    return f"{truth:.4g}" if isinstance(truth, float) else str(truth)


def option_of(item: dict[str, Any], letter: str) -> str:
    """Return the option of a letter."""
    options: list[str] = item["options"]
    return next(option for option in options if option.startswith(f"{letter}. "))


if __name__ == "__main__":
    sys.exit(main())
