"""What is put around the runners of an agent."""

from pathlib import Path

import pytest

from spatial_agent.services.metrics import PrometheusMeter
from spatial_agent.services.runtime import Choices, build_agent
from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.synthetic import SyntheticRoom

SCENE = SyntheticRoom.example().scene_map()
QUESTION = "How far is the sofa from the tv?"


def test_a_question_asked_again_measures_nothing_and_is_counted(tmp_path: Path) -> None:
    meter = PrometheusMeter()
    with build_agent(settings=Settings(cache_folder=tmp_path), meter=meter) as agent:
        first, second = agent.ask(SCENE, QUESTION), agent.ask(SCENE, QUESTION)

    numbers = meter.exposition().decode()
    assert (second.text, second.low, second.high) == (first.text, first.low, first.high)
    assert 'spatial_agent_cache_total{outcome="miss",tool="distance"}' in numbers
    assert 'spatial_agent_cache_total{outcome="memory",tool="distance"}' in numbers
    assert 'spatial_agent_calls_total{outcome="cached",tool="distance"}' in numbers
    assert "bypassed" not in numbers


def test_an_unknown_place_to_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected local or ray"):
        build_agent(Choices(runner="cluster"), settings=Settings(cache_folder=tmp_path))
