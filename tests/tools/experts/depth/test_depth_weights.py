"""What is accepted as the weights of a depth network, and what is refused."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolUnavailableError
from spatial_agent.tools.experts.depth_anything import DepthAnything
from spatial_agent.tools.experts.depth_pro import DepthPro
from spatial_agent.tools.experts.depth_zoedepth import ZoeDepth
from spatial_agent.tools.registry import tool_of
from spatial_agent.tools.scene import Frame, FrameHeader

pytest.importorskip("torch")
pytest.importorskip("transformers")

Make = Mapping[str, Callable[[Path], Path]]


def test_a_network_that_is_not_loaded_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolUnavailableError, match="load"):
        DepthAnything(tmp_path)(Frame(FrameHeader(0, "a"), np.zeros((9, 9, 3), np.uint8)))


def test_weights_of_another_network_are_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ToolUnavailableError, match="zoedepth.*'depth_anything'"):
        ZoeDepth(make["depth_anything"](tmp_path)).load("cpu")


def test_weights_for_relative_depth_are_refused(make: Make, tmp_path: Path) -> None:
    folder = make["depth_anything_relative"](tmp_path)
    with pytest.raises(ToolUnavailableError, match="metric depth.*'relative'"):
        DepthAnything(folder).load("cpu")


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b'{"size": 3}'])
def test_damaged_weights_are_refused_by_name(
    make: Make, tmp_path: Path, name: str, content: bytes | None
) -> None:
    path = make["depth_anything"](tmp_path) / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ToolUnavailableError, match="pull|expected the weights"):
        DepthAnything(tmp_path).load("cpu")


def test_weights_that_lack_tensors_are_refused(make: Make, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = make["depth_anything"](tmp_path) / "model.safetensors"
    tensors = load_file(path)
    gone = sorted(tensors)[0]
    save_file({name: value for name, value in tensors.items() if name != gone}, path, {"format": "pt"})
    with pytest.raises(ToolUnavailableError, match=r"lack 1 tensors .*" + gone.replace(".", r"\.")):
        DepthAnything(tmp_path).load("cpu")


def test_every_backend_states_its_weights_and_their_licence() -> None:
    assert [weights.name for weights in tool_of(DepthAnything).weights] == [
        f"Depth-Anything-V2-Metric-{place}-{size}-hf"
        for place in ("Indoor", "Outdoor")
        for size in ("Small", "Base", "Large")
    ]
    assert tool_of(DepthAnything).weights[0].source == (
        "hf:depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
    )
    for kind in (DepthAnything, DepthPro, ZoeDepth):
        assert tool_of(kind).references["frame"].type_name == "Frame"
        assert all(weights.licence for weights in tool_of(kind).weights)
