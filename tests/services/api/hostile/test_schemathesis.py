"""Every route as the OpenAPI document describes it: what it allows is asked, and what it does not."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from schemathesis.engine import events, from_schema

from tests.services.api.hostile.server import DISTANCE_M, Served, served

#: What schemathesis takes for a refusal: its own statuses, and those of tus and of limits.
REFUSALS = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "416", "422", "429", "431"]
#: Seconds after which a run that is much slower than expected ends.
MOST_SECONDS = 150
#: Routes that the document is known to describe otherwise than they are.
KNOWN_OTHERWISE = [
    {
        "include-operation-id": "scenes_upload",
        # Too long a name in a form is cut; in JSON it is refused.
        "checks": {"negative_data_rejection": {"enabled": False}},
    },
    {
        "include-operation-id": "uploads_begin",
        # Headers that nobody knows are refused nowhere.
        "checks": {"negative_data_rejection": {"enabled": False}},
    },
]


@dataclass
class Outcome:
    """What a run of schemathesis found.

    Attributes:
        statuses: How often each status came.
        routes: The routes that were asked.
        failures: What was wrong, with a request that shows it, once for each route and kind.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    routes: set[str] = field(default_factory=set)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def note(self, event: object) -> None:
        """Take in what happened."""
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.failures["schemathesis", type(event).__name__] = str(event)
        elif isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            self.routes.add(recorder.label)
            for interaction in recorder.interactions.values():
                self.statuses[interaction.response.status_code if interaction.response else 0] += 1
            for check in (check for checks in recorder.checks.values() for check in checks):
                if check.failure_info is not None:
                    told = f"{check.failure_info.failure.message}\n{check.failure_info.code_sample}"
                    self.failures.setdefault((recorder.label, check.name), told)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("described")) as server:
        yield server


def explored(
    running: Served, phases: dict[str, Any], examples: int = 1, most_seconds: int = MOST_SECONDS
) -> Outcome:
    """Ask every route, with the ids of things that are there among others."""
    url = str(running.http.base_url).rstrip("/")
    config = schemathesis.Config.from_dict(
        {
            "base-url": url,
            "headers": {"Authorization": f"Bearer {running.known['key']}"},
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "database": "none",
                "no-shrink": True,
                "allow-extra-parameters": False,
            },
            "cache": {"enabled": False},
            "phases": {"stateful": {"enabled": False}} | phases,
            "checks": {
                # What is well-formed may still be about a scene that is not there.
                "positive_data_acceptance": {"enabled": False},
                "negative_data_rejection": {"expected-statuses": REFUSALS},
                "missing_required_header": {"expected-statuses": REFUSALS},
            },
            "operations": KNOWN_OTHERWISE,
            "continue-on-failure": True,
            "max-time": most_seconds,
            "request-timeout": 30,
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    outcome = Outcome()
    for event in from_schema(schema).execute():
        outcome.note(event)
    return outcome


def check(outcome: Outcome, running: Served) -> None:
    """Check that nothing was wrong, that all routes were asked, and that the server is well."""
    assert outcome.failures == {}
    document = running.http.get("/openapi.json").json()
    described = {f"{method.upper()} {path}" for path, ways in document["paths"].items() for method in ways}
    assert described <= outcome.routes
    assert {200, 404, 422} <= set(outcome.statuses)
    assert max(outcome.statuses) < 500
    assert min(outcome.statuses) >= 200
    assert running.troubles() == []
    assert running.ask()["answer"]["value"] == pytest.approx(DISTANCE_M, abs=1e-6)


def test_every_route_answers_as_described(running: Served) -> None:
    outcome = explored(running, {"fuzzing": {"enabled": False}})
    print(sum(outcome.statuses.values()), "requests:", outcome.statuses)
    check(outcome, running)


@pytest.mark.slow
def test_every_route_answers_as_described_to_whatever_comes(running: Served) -> None:
    outcome = explored(running, {"coverage": {"enabled": False}}, examples=20, most_seconds=600)
    print(sum(outcome.statuses.values()), "requests:", outcome.statuses)
    check(outcome, running)
