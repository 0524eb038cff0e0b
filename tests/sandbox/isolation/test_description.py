"""What a stranger's tool says of itself is checked as an attacker's words are."""

from collections.abc import Mapping
from typing import Any

import pytest

from spatial_agent.sandbox.isolation.description import checked_description, described
from spatial_agent.tools.contract import Resources, Weights
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.registry import expert, tool_of
from spatial_agent.tools.scene import Frame


@expert(
    "near.most",
    "2",
    weights=[Weights("near", "hf:owner/near", "MIT", revision="0" * 40, parameters=10, vram_gb=0.5)],
    resources=Resources(
        threads=99, memory_gb=1e5, deadline_s=1e6, most_batched=999, placement={"tpu": 1}, in_caller=True
    ),
    idempotent=False,
)
class Near:
    def load(self, device: str) -> None:
        self.device = device

    def __call__(self, frame: Frame, least_m: float = 0.5) -> float:
        """Find the nearest.

        Args:
            frame: A frame.
            least_m: What counts.
        """
        return least_m


def given(**changed: object) -> dict[str, Any]:
    return described(tool_of(Near)) | changed


def inside(member: str, **changed: object) -> dict[str, Any]:
    whole = given()
    part = whole[member][0] if isinstance(whole[member], list) else whole[member]
    part |= changed
    return whole


def test_an_honest_description_says_what_the_tool_itself_says() -> None:
    spec = tool_of(Near).spec

    found = checked_description(given(), "near.most", "expert")

    assert found.spec.parameters == spec.parameters
    assert found.spec.weights == spec.weights
    assert (found.spec.description, found.spec.summary) == (spec.description, spec.summary)
    assert (found.spec.version, found.spec.idempotent, found.batches) == ("2", False, False)
    assert found.references == tool_of(Near).references


def test_what_it_may_use_is_bounded_and_where_it_runs_is_not_its_choice() -> None:
    found = checked_description(given(), "near.most", "expert").spec.resources

    assert found == Resources(threads=8, memory_gb=16.0, deadline_s=600.0, load_s=300.0, most_batched=64)


def test_texts_steer_no_terminal() -> None:
    found = checked_description(given(description="Look\x1b[2J\u202e here"), "near.most", "expert").spec

    assert found.summary == "Look\ufffd[2J\ufffd here"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "expected a mapping"),
        ({}, "expected the members"),
        (given(more=1), "expected a mapping of at most|expected the members"),
        (given(name="depth.sensor"), "calls itself 'depth.sensor'"),
        (given(description=""), "description"),
        (given(description="x" * 10_000), "description"),
        (given(version="../1"), "version"),
        (given(parameters=[]), "schema of an object"),
        (given(parameters={"type": "object", "properties": {"frame": {}, "a b": {}}}), "argument"),
        (given(parameters={"type": "object", "properties": {}}), "'frame' is no argument"),
        (
            given(parameters={"type": "object", "properties": {"frame": {"description": "x" * 70_000}}}),
            "at most",
        ),
        (given(references={"frame": {"type_name": "Frame"}}), "expected the members"),
        (given(references={f"a{number}": {} for number in range(65)}), "at most 64"),
        (given(returns="<script>"), "returns"),
        (given(deterministic=1), "true or false"),
        (given(batches="yes"), "true or false"),
        (given(weights=[{}] * 17), "at most 16"),
        (inside("weights", name="../../etc"), "name of weights"),
        (inside("weights", source="file:../id_rsa"), "source of weights"),
        (inside("weights", source="hf:owner/../x"), "source of weights"),
        (inside("weights", files=["../*"]), "files"),
        (inside("weights", files=["/etc/passwd"]), "files"),
        (inside("weights", licence="MIT\x1b[2J"), "licence"),
        (inside("weights", sha256={"a": "no digest"}), "sha256"),
        (inside("weights", vram_gb=float("nan")), "vram_gb"),
        (inside("weights", vram_basis="guessed"), "vram_basis"),
        (inside("resources", threads=0), "threads"),
        (inside("resources", memory_gb=True), "memory_gb"),
        (inside("resources", deadline_s=float("inf")), "deadline_s"),
    ],
)
def test_anything_else_is_refused(data: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        checked_description(data, "near.most", "expert")


def test_a_schema_that_nests_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"items": deep}

    with pytest.raises(WireError, match="levels"):
        checked_description(
            given(parameters={"type": "object", "properties": {"frame": deep}}), "near.most", "expert"
        )
