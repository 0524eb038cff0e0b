"""The sample scan, measured by an agent as users build it: exact truth from its meshes."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.agent.trace import read_trace
from spatial_agent.services.runtime import Choices, build_agent
from spatial_agent.services.settings import Settings
from tests.agent.golden.harness import BUDGET, Run, Switch, ids
from tests.agent.golden.honest import Careful, Player, Tabular
from tests.agent.golden.hostile import Contradictor, Inventor, Rambling
from tests.agent.golden.questions import Asked, recorded_scan

#: Measuring the scan takes ten seconds of a processor.
pytestmark = pytest.mark.slow


@dataclass
class Scanned:
    """An agent over the sample scan, which it measures once."""

    agent: SpatialAgent
    model: Switch

    def ask(self, asked: Asked, player: Player, *, sighted: bool = False) -> Run:
        """Ask a question of a player of a model."""
        self.model.played, self.model.is_sighted = Scripted(player), sighted
        answer = self.agent.ask(asked.place, asked.text, options=asked.options)
        return Run(asked, answer, list(read_trace(self.agent.trace_path(answer.trace_id))), BUDGET)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    model = Switch()
    choices = Choices(model=model, budget=BUDGET)
    with build_agent(choices, settings=Settings(cache_folder=tmp_path_factory.mktemp("scan"))) as agent:
        yield Scanned(agent, model)


@pytest.mark.parametrize("asked", ids(recorded_scan()))
def test_a_careful_model_answers_as_measured(scanned: Scanned, asked: Asked) -> None:
    run = scanned.ask(asked, Careful()).check("right" if asked.truth is not None else "refused")
    if asked.unit in ("m", "cm"):
        assert run.answer.low is not None
        assert run.answer.high is not None
        assert run.answer.low - asked.margin <= asked.truth <= run.answer.high + asked.margin


@pytest.mark.parametrize("player", [Contradictor, Inventor, Rambling, Tabular])
def test_no_model_changes_what_was_measured(scanned: Scanned, player: type[Player]) -> None:
    for asked in (recorded_scan()[0], recorded_scan()[7]):
        run = scanned.ask(asked, player()).check("right")
        assert run.answer.decided_by in ("evidence", "both")


def test_the_recorded_pictures_are_shown_marked_and_kept_as_digests(scanned: Scanned) -> None:
    run = scanned.ask(recorded_scan()[0], Careful(), sighted=True).check("right")
    captions = str(run.of("model_request")[-1]["messages"])
    assert "Marked: " in captions
    assert "sha256" in captions
