"""Replies that would break what they pass, and models that outlast their run."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.agent.models.bounded import DEEPEST, MOST_NAME, Bounded, plain
from spatial_agent.agent.models.chat import ChatReply, ChatRequest, Message, ModelLimits, OnText, ToolRequest
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import BudgetExceededError

REQUEST = ChatRequest((Message("user", ("hello",)),), "plan")
HALF = "\ud800"


def nested(depth: int) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner),
        max_leaves=20,
    )
)
def test_what_comes_through_can_be_written_down(document: Json) -> None:
    reply = plain(ChatReply(HALF, (ToolRequest(HALF, HALF, {HALF: document}, HALF),), [HALF, document]))
    for part in (reply.text, reply.requests[0].tool, reply.requests[0].id, str(reply.requests[0].problem)):
        part.encode("utf-8")
    json.dumps(
        [reply.document, dict(reply.requests[0].arguments)], ensure_ascii=False, allow_nan=False
    ).encode("utf-8")


@pytest.mark.parametrize(("depth", "passes"), [(DEEPEST - 1, True), (DEEPEST, False), (900, False)])
def test_nesting_is_bounded(depth: int, passes: bool) -> None:
    reply = plain(ChatReply("", (ToolRequest("1", "distance", nested(depth)),), nested(depth)))
    assert (reply.document == nested(depth)) is passes
    assert (reply.problem is None) is passes
    assert (reply.requests[0].problem is None) is passes


def test_what_is_no_json_becomes_nothing() -> None:
    request = ToolRequest("1", "size", {"of": "sofa", "tall": float("nan"), "far": [float("-inf"), 1.5]})
    assert plain(ChatReply("", (request,))).requests[0].arguments == {
        "of": "sofa", "tall": None, "far": [None, 1.5],
    }  # fmt: skip


def test_names_and_arguments_are_bounded() -> None:
    (request,) = plain(ChatReply("", (ToolRequest("1", "x" * 10**5, {"of": "y" * 10**5}),))).requests
    assert len(request.tool) == MOST_NAME
    assert request.arguments == {}
    assert "write less" in (request.problem or "")


def test_what_is_fine_passes_unchanged() -> None:
    reply = ChatReply("2 m\u00b2 \U0001f600", (ToolRequest("1", "size", {"of": "sofa"}),), {"a": [1, None]})
    assert plain(reply) == reply


class Silent(Scripted):
    def __init__(self) -> None:
        super().__init__(["never"])
        self.was_cancelled = False

    @property
    def limits(self) -> ModelLimits:
        return ModelLimits()

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        raise AssertionError


def test_a_model_that_outlasts_its_run_is_cancelled_and_not_asked_again() -> None:
    silent = Silent()
    model = Bounded(silent, 0.05)
    for _ in range(2):
        with pytest.raises(BudgetExceededError, match=r"the run may take 0\.05 s"):
            asyncio.run(model.reply(REQUEST))
    assert silent.was_cancelled


def test_without_a_limit_nobody_looks_at_the_clock() -> None:
    assert asyncio.run(Bounded(Scripted(["yes"])).reply(REQUEST)).text == "yes"
