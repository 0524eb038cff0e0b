"""The same question to the same model, in this process and on Ray: the same answer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spatial_agent.agent.answer import Answer
from tests.agent.golden.questions import measured_in_rooms, open_questions

PROGRAM = """
import json
import sys
from pathlib import Path

from spatial_agent.agent.models.chat import ModelLimits
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.services.runtime import Choices, build_agent
from spatial_agent.services.settings import Settings
from tests.agent.golden.honest import ByTools
from tests.agent.golden.rooms import room

runner, folder, *questions = sys.argv[1:]
limits = ModelLimits(most_pictures=0)
scene = room("example").scene_map()
choices = Choices(model=Scripted(ByTools(), limits=limits), runner=runner)
with build_agent(choices, settings=Settings(cache_folder=Path(folder))) as agent:
    print(json.dumps([agent.ask(scene, question).to_json() for question in questions]))
"""
QUESTIONS = (measured_in_rooms()[0], measured_in_rooms()[17], open_questions()[2])
#: What differs from run to run.
OWN = ("trace_id", "seconds", "gpu_seconds")


def asked_on(runner: str, folder: Path) -> list[Answer]:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, runner, str(folder), *(asked.text for asked in QUESTIONS)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr
    return [Answer.from_json(item) for item in json.loads(done.stdout.splitlines()[-1])]


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_in_this_process_and_on_ray_the_answers_are_the_same(tmp_path: Path) -> None:
    here, on_ray = asked_on("local", tmp_path / "here"), asked_on("ray", tmp_path / "ray")

    for asked, one, other in zip(QUESTIONS, here, on_ray, strict=True):
        assert (one.value, one.decided_by) == (pytest.approx(asked.truth), "both")
        same = [
            {name: value for name, value in item.to_json().items() if name not in OWN}
            for item in (one, other)
        ]
        assert same[0] == same[1]
        assert other.degraded == ()
