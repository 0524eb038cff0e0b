"""The second question about a known scene, against the first one, which has to measure it.

    python benchmarks/warm_question.py [--scan FOLDER] [--repeats 30]

Everything runs in this process, with a scene cache of its own. Goal: 50 ms for a warm question.
"""

import argparse
import os
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
QUESTIONS = (
    "How many chairs are there?",
    "How far is the sofa from the tv?",
    "How tall is the sofa?",
    "What is the nearest object to the sofa?",
    "Standing at the sofa, facing the tv, where is the armchair?",
    "What is the area of the room?",
)


def main() -> None:
    """Time the first question, a second one from the disk cache, and warm ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scan", type=Path, default=SAMPLE)
    parser.add_argument("--repeats", type=int, default=30)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(cache_folder=Path(folder))
        with build_agent(settings=settings) as agent:
            cold_ms = timed_ms(agent, chosen.scan, QUESTIONS[0])
            warm = {
                question: repeated_ms(agent, chosen.scan, question, chosen.repeats) for question in QUESTIONS
            }
        with build_agent(settings=settings) as agent:
            disk_ms = timed_ms(agent, chosen.scan, QUESTIONS[0])
    table = Table(
        "question", "median ms", "p95 ms", "first question / this", "goal", title=f"{os.cpu_count()} cores"
    )
    table.add_row("first question: opens, measures, answers", f"{cold_ms:.0f}", "", "1.0", "")
    table.add_row(
        "first of a new agent: scene from disk", f"{disk_ms:.0f}", "", f"{cold_ms / disk_ms:.1f}", ""
    )
    for question, times_ms in warm.items():
        median_ms, p95_ms = statistics.median(times_ms), sorted(times_ms)[int(0.95 * len(times_ms))]
        met = "met" if median_ms <= GOAL_MS else "missed"
        table.add_row(question, f"{median_ms:.1f}", f"{p95_ms:.1f}", f"{cold_ms / median_ms:.0f}", met)
    Console().print(table)


def repeated_ms(agent: SpatialAgent, scan: Path, question: str, repeats: int) -> list[float]:
    """Return the wall time of each repeat, milliseconds."""
    return [timed_ms(agent, scan, question) for _ in range(repeats)]


def timed_ms(agent: SpatialAgent, scan: Path, question: str) -> float:
    """Return the wall time of one question, milliseconds."""
    started = time.perf_counter()
    agent.ask(scan, question)
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
