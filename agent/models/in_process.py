"""Open models of the ``transformers`` library in this process: with pictures or with words only.

The model is read when it is first asked, and works in a thread of its own, one request after the other, so
that the loop goes on meanwhile. It always writes what it finds likeliest: equal requests get equal replies
on one machine.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatial_agent.agent.models.chat import (
    ChatReply,
    ChatRequest,
    ModelLimits,
    OnText,
    Usage,
)
from spatial_agent.agent.models.loaded_network import LoadedNetwork, load
from spatial_agent.tools.errors import ConfigurationError, ModelRequestError, ModelUnavailableError

if TYPE_CHECKING:
    import torch

#: Pictures in a request, and their longest side, where nobody says otherwise: what a processor has time for.
MOST_PICTURES, PICTURE_SIDE_PX = 8, 768
#: What a decoder shows for a letter whose bytes are not all there yet.
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


class InProcess:
    """A `ChatModel` that runs here, with neither tools nor schemas of its own: wrap it in `TextProtocol`."""

    def __init__(
        self, source: str | Path, *, device: str | None = None, limits: ModelLimits | None = None
    ) -> None:
        """Find a model on this machine; nothing heavy is read or imported yet.

        Args:
            source: A folder of the hub's layout, or the hub's ``"owner/name"`` of a model that was
                downloaded before; nothing is downloaded here.
            device: Such as ``"cpu"`` or ``"cuda:0"``; the first accelerator where left out, if there is one.
            limits: What it can take; from its own configuration where left out.

        Raises:
            ConfigurationError: If there is no such model here.
        """
        self._folder = _folder_of(source)
        config = _read_config(self._folder)
        self._has_eyes = "vision_config" in config
        self._limits = limits or _limits_of(config, self._has_eyes)
        self._limits = replace(self._limits, has_tools=False, has_schemas=False)
        if not self._has_eyes:
            self._limits = replace(self._limits, most_pictures=0)
        self._name = f"hf:{Path(source).name}"
        self._device = device
        self._loaded: LoadedNetwork | None = None
        # One thread: two generations side by side only take each other's time and memory.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chat-model")
        self._under_way: set[threading.Event] = set()

    @property
    def name(self) -> str:
        """Name for traces and people, without the folder it lies in."""
        return self._name

    @property
    def limits(self) -> ModelLimits:
        """What it can take."""
        return self._limits

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; cancelling the call stops it at the next token.

        Raises:
            ModelUnavailableError: If the model cannot be read or breaks down, or is closed.
            ModelRequestError: If the request has tools, a schema, or pictures for a model without eyes, is
                too long, or needs more memory than there is.
        """
        self._refuse(request)
        loop, stop = asyncio.get_running_loop(), threading.Event()

        def emit(piece: str) -> None:
            if on_text is not None:
                loop.call_soon_threadsafe(_unless(stop, on_text), piece)

        self._under_way.add(stop)
        try:
            return await loop.run_in_executor(self._thread, self._reply, request, emit, stop)
        except RuntimeError as error:
            raise ModelUnavailableError(f"{self._name} is closed; open another ({error})") from error
        finally:
            stop.set()
            self._under_way.discard(stop)

    async def close(self) -> None:
        """Stop what is under way and let go of the model's memory."""
        for stop in self._under_way:
            stop.set()
        await asyncio.to_thread(self._thread.shutdown)
        self._loaded = None

    def _refuse(self, request: ChatRequest) -> None:
        if request.tools or request.schema is not None:
            raise ModelRequestError(f"{self._name} takes neither tools nor schemas; wrap it in TextProtocol")
        pictures = sum(len(message.pictures) for message in request.messages)
        if pictures > self._limits.most_pictures:
            raise ModelRequestError(
                f"{self._name} takes at most {self._limits.most_pictures} pictures, got {pictures}; wrap it "
                "in Fitted, or choose another model"
            )

    def _reply(self, request: ChatRequest, emit: OnText, stop: threading.Event) -> ChatReply:
        """Load where needed, and generate; runs in the model's thread."""
        self._refuse_if_stopped(stop)
        if self._loaded is None:
            self._loaded = load(self._folder, self._has_eyes, self._device, self._name)
        with _translated(self._name):
            inputs = self._loaded.inputs(request.messages)
            reads = int(inputs["input_ids"].shape[1])
            if reads + request.most_tokens > self._limits.context_tokens:
                raise ModelRequestError(
                    f"{self._name} takes {self._limits.context_tokens} tokens, the request is too long: "
                    f"{reads} and {request.most_tokens} for the reply; leave something out"
                )
            pieces = _Pieces(self._loaded.decode, emit)
            self._loaded.generate(inputs, request.most_tokens, pieces, stop)
        self._refuse_if_stopped(stop)
        return ChatReply(pieces.text, usage=Usage(reads, pieces.tokens))

    def _refuse_if_stopped(self, stop: threading.Event) -> None:
        """Give no half reply for a whole one; where the call was cancelled, nobody hears of it."""
        if stop.is_set():
            raise ModelUnavailableError(f"{self._name} was closed before it had replied; open another")


class _Pieces:
    """Takes tokens as they are generated and gives on text, never part of a letter."""

    def __init__(self, decode: Callable[[Sequence[int]], str], emit: OnText) -> None:
        self.text = ""
        self._decode = decode
        self._emit = emit
        self._ids: list[int] = []
        self._is_prompt = True

    @property
    def tokens(self) -> int:
        """Tokens generated so far."""
        return len(self._ids)

    def put(self, ids: "torch.Tensor") -> None:
        """Take the prompt, and then token after token."""
        if self._is_prompt:
            self._is_prompt = False
            return
        self._ids += ids.reshape(-1).tolist()
        text = self._decode(self._ids)
        if not text.endswith(_UNFINISHED):
            self._give(text)

    def end(self) -> None:
        """Give on what was held back."""
        self._give(self._decode(self._ids))

    def _give(self, text: str) -> None:
        piece = text[len(self.text) :]
        if piece:
            self.text += piece
            self._emit(piece)


def _folder_of(source: str | Path) -> Path:
    """Return the folder of a model: itself, or where the hub's client keeps it."""
    if (Path(source) / "config.json").is_file():
        return Path(source)
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(str(source), "config.json")
    except (ImportError, ValueError):  # no client, or not of the form owner/name
        found = None
    if not isinstance(found, str):
        raise ConfigurationError(
            f"no model {str(source)!r} on this machine: expected a folder with config.json, or the name of a "
            f"model of the hub that was downloaded (hf download {source})"
        )
    return Path(found).parent


def _read_config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if isinstance(config, dict):
            return config
        problem = f"expected an object, got {type(config).__name__}"
    except (OSError, ValueError) as error:
        problem = str(error)
    raise ConfigurationError(f"config.json of the model {folder.name} cannot be read: {problem}")


def _limits_of(config: Mapping[str, Any], has_eyes: bool) -> ModelLimits:
    """Return what a model says of itself, and no longer a context than a machine has memory for."""
    default = ModelLimits(most_pictures=MOST_PICTURES if has_eyes else 0, picture_side_px=PICTURE_SIDE_PX)
    said = config.get("text_config", config).get("max_position_embeddings", default.context_tokens)
    return replace(default, context_tokens=min(int(said), default.context_tokens))


def _unless(stop: threading.Event, on_text: OnText) -> OnText:
    """Return a function that gives text on until nobody waits for it any more."""
    return lambda piece: None if stop.is_set() else on_text(piece)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn whatever a model raises into errors of models."""
    import torch

    try:
        yield
    except ModelRequestError:
        raise
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        torch.cuda.empty_cache()
        raise ModelRequestError(
            f"{name} has too little memory for the request; send fewer or smaller pictures, or choose "
            "a smaller model"
        ) from error
    except Exception as error:  # models fail in as many ways as they are written
        what = f"{type(error).__name__}: {str(error)[:300]}"
        raise ModelUnavailableError(f"{name} broke down ({what}); choose another model") from error
