"""What is remembered of a scene names no folder of the server."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.store.records import Job, NewJob, SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.agents import Agents
from spatial_agent.services.work.runs import AgentRuns
from spatial_agent.tools.errors import SourceError, SpatialAgentError, UnmeasurableError

WEIGHTS = Path("/srv/weights of ours")


class Seen(tuple[object, ...]):
    """The frames of a source."""

    notes = ("Opened as image: 1 frame.",)


def measured(files: SceneFiles, store: Store, record: SceneRecord, raised: SpatialAgentError) -> str:
    """Measure a scene with an agent that cannot; return all that is remembered of it."""

    async def ascene(source: Path) -> NoReturn:
        raise raised

    agent = SimpleNamespace(ascene=ascene, frames=lambda source: Seen((0,)), warm=lambda: None)
    runs = AgentRuns(Agents(("recorded",), lambda _: cast(Any, agent)), files, store, (WEIGHTS,))
    job = Job("m_0", NewJob(record.tenant, "scene", {"scene": record.id}, record.id), "running", 0.0)
    with suppress(type(raised)):
        asyncio.run(runs.run(job, lambda kind, data: None))
    kept = store.scenes.scene(record.tenant, record.id)
    assert kept is not None
    return json.dumps([kept.state, dict(kept.facts), kept.problem])


@pytest.mark.parametrize(("raised", "state"), [(UnmeasurableError, "ready"), (SourceError, "failed")])
def test_folders_of_weights_are_not_told(
    files: SceneFiles, store: Store, raised: Callable[[str], SpatialAgentError], state: str
) -> None:
    record = asyncio.run(files.from_sample("tenant", "living_room", None, profile="recorded"))
    told = measured(files, store, record, raised(f"{WEIGHTS}/depth lacks *.json; pull depth"))
    assert json.loads(told)[0] == state
    assert "depth lacks *.json; pull depth" in told
    assert str(WEIGHTS) not in told
    assert str(files.root) not in told
