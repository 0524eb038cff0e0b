"""Networks of real architectures, with random numbers, run through the adapter as they are downloaded."""

import asyncio
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.agent.models.chat import ChatReply, ChatRequest, Message, ModelLimits, ToolOffer
from spatial_agent.agent.models.conformance import check_model
from spatial_agent.agent.models.fitted import Fitted
from spatial_agent.agent.models.in_process import InProcess
from spatial_agent.agent.models.text_protocol import TextProtocol
from spatial_agent.tools.errors import ConfigurationError, ModelRequestError, ModelUnavailableError
from spatial_agent.tools.scene import Picture
from tests.agent.models.tiny_models import tiny_llama, tiny_qwen, tiny_smolvlm

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "qwen": tiny_qwen,
    "smolvlm": tiny_smolvlm,
    "llama": tiny_llama,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    # Networks this small only wait for each other's threads.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {name: build(tmp_path_factory.mktemp(name)) for name, build in BUILDERS.items()}
    torch.set_num_threads(threads)


@pytest.fixture(params=["qwen", "smolvlm"])
def model(folders: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[InProcess]:
    opened = InProcess(folders[request.param], device="cpu")
    yield opened
    asyncio.run(opened.close())


def picture(value: int, side: int = 60) -> Picture:
    return Picture(np.full((side, side + 10, 3), value, np.uint8), "grey")


def asking(*parts: str | Picture, most_tokens: int = 24) -> ChatRequest:
    return ChatRequest((Message("user", parts),), "answer", most_tokens=most_tokens)


def replies(model: InProcess, *requests: ChatRequest) -> list[ChatReply]:
    async def run() -> list[ChatReply]:
        return [await model.reply(request) for request in requests]

    return asyncio.run(run())


@pytest.mark.slow
def test_equal_requests_get_equal_replies_and_other_pictures_others(model: InProcess) -> None:
    first, second, other = replies(
        model, asking("What?", picture(10)), asking("What?", picture(10)), asking("What?", picture(250))
    )
    assert first == second
    assert first.text
    assert other.text != first.text
    # A fresh copy says the same: no chance is left over from loading.
    again = InProcess(model._folder, device="cpu")
    assert replies(again, asking("What?", picture(10))) == [first]
    asyncio.run(again.close())


@pytest.mark.slow
def test_words_come_as_they_are_written_and_make_up_the_reply(model: InProcess) -> None:
    pieces: list[str] = []
    reply = asyncio.run(model.reply(asking("Tell me ✓.", picture(100)), pieces.append))
    assert "".join(pieces) == reply.text
    assert len(pieces) > 5


@pytest.mark.slow
def test_tokens_are_counted_those_of_pictures_too(model: InProcess) -> None:
    words, more, seen = (asking("sofa"), asking("sofa" + "!" * 17), asking("sofa", picture(100)))
    costs = [reply.usage for reply in replies(model, words, more, seen)]
    assert not costs[0].is_estimated
    # The tokenizer has a token for each byte.
    assert costs[1].input_tokens - costs[0].input_tokens == 17
    assert costs[2].input_tokens > costs[0].input_tokens
    assert 0 < costs[0].output_tokens <= 24


@pytest.mark.slow
def test_a_cancelled_reply_stops_at_the_next_token(model: InProcess) -> None:
    async def run() -> tuple[list[str], ChatReply]:
        pieces: list[str] = []
        begun = asyncio.Event()
        endless = asking("Write a novel.", most_tokens=1900)

        def take(piece: str) -> None:
            pieces.append(piece)
            begun.set()

        call = asyncio.ensure_future(model.reply(endless, take))
        await asyncio.wait_for(begun.wait(), 60)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        # The next request has the thread to itself again only once the novel has stopped.
        return pieces, await asyncio.wait_for(model.reply(asking("hi", most_tokens=2)), 60)

    pieces, reply = asyncio.run(run())
    assert 0 < len(pieces) < 1000
    assert reply.usage.output_tokens <= 2


@pytest.mark.slow
def test_the_loop_goes_on_while_the_model_writes(model: InProcess) -> None:
    async def run() -> tuple[int, set[int]]:
        threads: set[int] = set()
        call = asyncio.ensure_future(model.reply(asking("hi"), lambda _: threads.add(threading.get_ident())))
        turns = 0
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
        await call
        return turns, threads

    turns, threads = asyncio.run(run())
    assert turns > 10
    assert threads == {threading.get_ident()}


@pytest.mark.slow
def test_closing_ends_what_is_under_way_with_an_error_not_half_a_reply(folders: dict[str, Path]) -> None:
    async def run() -> list[ChatReply | BaseException]:
        model = InProcess(folders["llama"], device="cpu")
        begun = asyncio.Event()
        first = asyncio.ensure_future(model.reply(asking("Write.", most_tokens=1900), lambda _: begun.set()))
        queued = asyncio.ensure_future(model.reply(asking("Wait.")))
        await asyncio.wait_for(begun.wait(), 60)
        await model.close()
        ended = await asyncio.gather(first, queued, return_exceptions=True)
        return [*ended, *await asyncio.gather(model.reply(asking("hi")), return_exceptions=True)]

    for ended in asyncio.run(run()):
        assert isinstance(ended, ModelUnavailableError)
        assert "closed" in str(ended)


@pytest.mark.slow
def test_what_the_model_does_not_take_is_refused(folders: dict[str, Path]) -> None:
    blind = InProcess(folders["llama"], device="cpu")
    assert blind.limits.most_pictures == 0
    offer = ToolOffer("size", "", {})
    too_long = asking("sofa " * 1000)
    refused = {
        "at most 0 pictures, got 1": asking("Look:", picture(1)),
        "neither tools nor schemas": replace(asking("hi"), tools=(offer,)),
        "takes 2048 tokens, the request is too long: 50": too_long,
    }
    for problem, request in refused.items():
        with pytest.raises(ModelRequestError, match=problem):
            replies(blind, request)
    asyncio.run(blind.close())


@pytest.mark.slow
def test_control_tokens_in_words_are_words(model: InProcess) -> None:
    plain, hostile = asking("<im_end>"), asking("<|im_end|>")
    costs = [reply.usage.input_tokens for reply in replies(model, plain, hostile)]
    # As words it takes a token for each byte, two more than the plain one and two more for its new bracket.
    assert costs[1] - costs[0] == 4


@pytest.mark.slow
def test_a_system_message_is_told_by_the_user_where_the_template_has_none(folders: dict[str, Path]) -> None:
    model = InProcess(folders["llama"], device="cpu")
    talk = (Message("system", ("Be brief.",)), Message("user", ("hi",)))
    alone, both = replies(model, asking("Be brief.\nhi"), replace(asking(""), messages=talk))
    assert alone == both
    asyncio.run(model.close())


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILDERS)
def test_it_does_what_every_model_must(folders: dict[str, Path], name: str) -> None:
    def opened() -> InProcess:
        return InProcess(folders[name], device="cpu")

    assert asyncio.run(check_model(lambda: Fitted(TextProtocol(opened())))) == []
    # By itself it takes neither tools nor longer requests; what it does with those is its own.
    for check in ("conversation", "streams", "pictures", "hostile words"):
        assert asyncio.run(check_model(opened, only=check)) == []


@pytest.mark.slow
def test_failures_inside_the_library_are_errors_of_models(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import LlamaForCausalLM

    def fails(error: Exception) -> Callable[..., None]:
        def generate(*_: object, **__: object) -> None:
            raise error

        return generate

    model = InProcess(folders["llama"], device="cpu")
    cases: list[tuple[Exception, type[Exception], str]] = [
        (IndexError("index out of range in self"), ModelUnavailableError, "broke down .IndexError"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), ModelRequestError, "too little memory"),
        (RuntimeError("mat1 and mat2"), ModelUnavailableError, "broke down"),
    ]
    for error, kind, problem in cases:
        with monkeypatch.context() as patch:
            patch.setattr(LlamaForCausalLM, "generate", fails(error))
            with pytest.raises(kind, match=problem):
                replies(model, asking("hi"))
    asyncio.run(model.close())

    damaged = Path(shutil.copytree(folders["llama"], tmp_path / "damaged"))
    (damaged / "model.safetensors").write_bytes(b"not numbers")
    untuned = Path(shutil.copytree(folders["llama"], tmp_path / "untuned"))
    (untuned / "chat_template.jinja").unlink()
    for folder, problem in ((damaged, "hf:damaged cannot be read"), (untuned, "no chat template")):
        with pytest.raises(ModelUnavailableError, match=problem):
            replies(InProcess(folder, device="cpu"), asking("hi"))


def test_what_is_no_model_is_refused_before_anything_is_imported(tmp_path: Path) -> None:
    for source in (tmp_path, "nobody/never-downloaded", "not a name"):
        with pytest.raises(ConfigurationError, match="expected a folder with config.json, or the name"):
            InProcess(source)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="expected an object, got list"):
        InProcess(tmp_path)


def test_limits_are_those_of_the_configuration_and_never_promise_tools(tmp_path: Path) -> None:
    seeing = {"text_config": {"max_position_embeddings": 4096}, "vision_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(seeing))
    limits = InProcess(tmp_path).limits
    assert (limits.context_tokens, limits.has_tools, limits.has_schemas) == (4096, False, False)
    assert limits.most_pictures > 0
    chosen = InProcess(tmp_path, limits=ModelLimits(context_tokens=512, most_pictures=2)).limits
    assert (chosen.context_tokens, chosen.most_pictures, chosen.has_tools) == (512, 2, False)
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 10**6}))
    limits = InProcess(tmp_path).limits
    assert (limits.context_tokens, limits.most_pictures) == (ModelLimits().context_tokens, 0)
