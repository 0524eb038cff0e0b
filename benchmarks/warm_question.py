"""The second question about a known scene, against the first one, which has to measure it.

    python benchmarks/warm_question.py [--scan FOLDER] [--repeats 10]

Everything runs in this process, with a scene cache of its own. `new` is a question whose result nobody has
measured yet, median over agents that know the scene; `again` finds it in the cache of results. Goal: 50 ms
for a new question.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.services.runtime import build_agent
from spatial_agent.services.settings import Settings

SAMPLE = Path(__file__).parents[1] / "examples" / "scans" / "living_room"
GOAL_MS = 50.0
WARM_UP = "How tall is the fridge?"
QUESTIONS = (
    "How many chairs are there?",
    "How far is the sofa from the tv?",
    "How tall is the sofa?",
    "What is the nearest object to the sofa?",
    "Standing at the sofa, facing the tv, where is the armchair?",
    "What is the area of the room?",
)


def main() -> None:
    """Time the first question, one about a scene from disk, and warm ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scan", type=Path, default=SAMPLE)
    parser.add_argument("--repeats", type=int, default=10)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(cache_folder=Path(folder))
        with build_agent(settings=settings) as agent:
            cold_ms = timed_ms(agent, chosen.scan, WARM_UP)
        disk_ms, new_ms, again_ms = warm_ms(settings, chosen.scan, chosen.repeats)
    table = Table(
        "question", "new, ms", "again, ms", "first question / new", "goal", title=f"{os.cpu_count()} cores"
    )
    table.add_row("first question: opens, measures, answers", f"{cold_ms:.0f}", "", "1.0", "")
    table.add_row("first of an agent: scene from disk", f"{disk_ms:.0f}", "", f"{cold_ms / disk_ms:.1f}", "")
    for question, median_ms in new_ms.items():
        met = "met" if median_ms <= GOAL_MS else "missed"
        ratio = f"{cold_ms / median_ms:.0f}"
        table.add_row(question, f"{median_ms:.1f}", f"{again_ms[question]:.1f}", ratio, met)
    Console().print(table)


def warm_ms(settings: Settings, scan: Path, repeats: int) -> tuple[float, dict[str, float], dict[str, float]]:
    """Return median milliseconds: of an agent's first question, of new ones, and of the same again."""
    first: list[float] = []
    new: dict[str, list[float]] = {question: [] for question in QUESTIONS}
    again: dict[str, list[float]] = {question: [] for question in QUESTIONS}
    for _ in range(repeats):
        shutil.rmtree(settings.results_folder, ignore_errors=True)
        with build_agent(settings=settings) as agent:
            first.append(timed_ms(agent, scan, WARM_UP))
            for times_ms in (new, again):
                for question in QUESTIONS:
                    times_ms[question].append(timed_ms(agent, scan, question))
    medians = [
        {name: statistics.median(times) for name, times in times_ms.items()} for times_ms in (new, again)
    ]
    return statistics.median(first), medians[0], medians[1]


def timed_ms(agent: SpatialAgent, scan: Path, question: str) -> float:
    """Return the wall time of one question, milliseconds."""
    started = time.perf_counter()
    agent.ask(scan, question)
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
