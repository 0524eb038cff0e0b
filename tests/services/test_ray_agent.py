"""A whole agent on Ray, in a process of its own: it answers, and leaves nothing behind."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path

import psutil

from spatial_agent.services import open_agent

scan = sys.argv[1]
with open_agent("open", instances="yolox", runner="ray") as agent:
    answer = agent.ask(scan, "How many chairs are there?")
    started = [child.name() for child in psutil.Process().children(recursive=True)]
    print("raylet" in started, answer.value, answer.degraded, agent.licences)
print([child.name() for child in psutil.Process().children(recursive=True) if child.status() != "zombie"])
"""


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_real_room_is_looked_at_by_actors_that_are_gone_afterwards(
    test_data: Path, weights: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(test_data / "dining_room")],
        capture_output=True,
        text=True,
        timeout=180,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    looked, left = done.stdout.splitlines()
    ran, count, _ = looked.split(" ", 2)
    assert ran == "True"
    assert 3 <= int(count) <= 9
    assert "() ('detect.yolox uses the weights yolox-nano" in looked
    assert "Apache-2.0" in looked
    assert left == "[]"
