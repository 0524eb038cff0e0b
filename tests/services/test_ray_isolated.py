"""An isolated expert behind an actor: its values, its errors, its end, and where its code runs."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray")

from spatial_agent.sandbox.isolation.isolate import Isolation
from spatial_agent.sandbox.isolation.tool import IsolatedTool
from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.tools.errors import ToolCrashedError, ToolTimeoutError
from spatial_agent.tools.scene import DepthMap

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
CODE = '''
import os, threading
import numpy as np
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap

@expert("far.away")
def far(depth: DepthMap, what: str = "double") -> DepthMap:
    """Double a depth.

    Args:
        depth: The depth.
        what: Anything else goes wrong.
    """
    if what == "exit":
        os._exit(1)
    if what == "hang":
        threading.Event().wait()
    return DepthMap(depth.z_m * np.float32(2))
'''


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IsolatedTool:
    """A stranger's tool, isolated."""
    reason = bwrap.why_not()
    if reason is not None:
        pytest.skip(reason)
    site = tmp_path / "site"
    information = site / "far_away-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "far_away.py").write_text(CODE, encoding="utf-8")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: far-away\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[spatial_agent.experts]\nfar.away = far_away:far\n")
    (information / "RECORD").write_text("far_away.py,,\nfar_away-1.0.dist-info/METADATA,,\n")
    for path in (site, information, *site.rglob("*")):
        # Temporary folders are for their maker only, and isolated experts run as nobody.
        path.chmod(0o755)
    monkeypatch.syspath_prepend(str(site))
    [point] = metadata.distribution("far-away").entry_points
    return Isolation(tmp_path / "descriptions")(point)


def test_an_isolated_expert_is_served_like_any_other(far: IsolatedTool, serve: Callable[..., Any]) -> None:
    bench = serve(far.target)
    depth = bench.runner.keep("depth", DepthMap(np.full((480, 640), 1.5, np.float32)))

    doubled = bench.answer("far.away", depth=depth)

    assert isinstance(doubled, DepthMap)
    assert np.array_equal(doubled.z_m, np.full((480, 640), 3.0, np.float32))
    assert isinstance(bench.call("far.away", depth=depth, what="exit").error, ToolCrashedError)
    assert isinstance(bench.call("far.away", 3.0, depth=depth, what="hang").error, ToolTimeoutError)
    assert bench.answer("far.away", depth=depth).z_m[0, 0] == 3.0
