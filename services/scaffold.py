"""A new expert's distribution: metadata, the module, and its test."""

import re
from functools import partial
from pathlib import Path

from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.whole_file import write_whole

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")

METADATA = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "spatial-agent-{dashed}"
version = "0.1.0"
dependencies = ["spatial-reasoning-agent"]

[project.entry-points."spatial_agent.experts"]
"{name}" = "{module}:{module}"

[tool.setuptools]
py-modules = ["{module}"]
"""

MODULE = '''\
import numpy as np
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap


@expert("{name}")
def {module}(depth: DepthMap, width_px: int = 32) -> Finding:
    """Measure how far the nearest thing ahead of the camera is.

    Args:
        depth: What the camera sees.
        width_px: Width of the strip in the middle of the picture that counts as ahead.
    """
    if not 0 < width_px <= depth.z_m.shape[1]:
        raise ToolArgumentError(f"width_px: expected 1 to {{depth.z_m.shape[1]}}, got {{width_px}}")
    left = (depth.z_m.shape[1] - width_px) // 2
    seen_m = depth.z_m[:, left : left + width_px][depth.valid[:, left : left + width_px]]
    if depth.scale != "metric" or not seen_m.size:
        raise ToolFailedError("expected depth in metres ahead, got none; measure depth another way")
    near_m, share = float(np.percentile(seen_m, 1)), 1.645 * np.hypot(depth.scale_error, depth.shape_error)
    low_m, high_m = near_m * max(0.0, 1.0 - share), near_m * (1.0 + share)
    claim = f"The nearest thing ahead is {{near_m:.2f}} m away ({{low_m:.2f}} to {{high_m:.2f}} m)."
    return Finding(claim, near_m, "m", low_m, high_m, "{name}")
'''

TEST = """\
from spatial_agent.tools.conformance import check_expert, failures

from {module} import {module}


def test_it_does_what_every_expert_must() -> None:
    assert failures(check_expert({module})) == {{}}
"""


def new_expert(name: str, folder: Path) -> list[Path]:
    """Write a working expert to start from, as a distribution of its own.

    Args:
        name: ``"capability"`` or ``"capability.backend"``, lower case.
        folder: Where the distribution's folder is made.

    Returns:
        The files.

    Raises:
        ConfigurationError: If the name is no name of an expert, or the folder is taken.
    """
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"expected a name such as 'depth.mine', of small letters, digits and _, got {name!r}"
        )
    names = {"name": name, "module": re.sub(r"\W", "_", name), "dashed": re.sub(r"[\W_]+", "-", name)}
    root = folder / f"spatial-agent-{names['dashed']}"
    if root.exists():
        raise ConfigurationError(f"{root} is already there; choose another name or folder")
    texts = {
        root / "pyproject.toml": METADATA,
        root / f"{names['module']}.py": MODULE,
        root / f"test_{names['module']}.py": TEST,
    }
    for file, text in texts.items():
        write_whole(file, partial(_write, text.format(**names)))
    return list(texts)


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
