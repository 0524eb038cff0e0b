"""What the state of a run says, as the values it was made of."""

from collections.abc import Mapping

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import answer_readings
from spatial_agent.agent.evidence import from_json
from spatial_agent.agent.plain import from_plain
from spatial_agent.agent.situation import Reading, Turn
from spatial_agent.agent.state import AgentState
from spatial_agent.tools.contract import Evidence


def reading_of(state: AgentState) -> Reading:
    """Return how the question was understood."""
    return from_plain(Reading, state["reading"])


def evidence_of(state: AgentState) -> tuple[Evidence, ...]:
    """Return everything found out so far."""
    return tuple(from_json(item) for item in state["evidence"])


def turns_of(state: AgentState) -> tuple[Turn, ...]:
    """Return the turns so far."""
    return tuple(from_plain(Turn, turn) for turn in state["turns"])


def weak_of(state: AgentState) -> Mapping[str, str]:
    """Return why a piece of evidence is weak, by its id."""
    verdict = state.get("verdict")
    return verdict["weak"] if verdict else {}


def answer_of_evidence(state: AgentState) -> Answer:
    """Return the answer that follows from the evidence alone."""
    reading = reading_of(state)
    return answer_readings(
        reading.task,
        reading.other,
        evidence_of(state),
        state["failures"],
        weak_of(state),
        reading.disagreement,
    ).answer
