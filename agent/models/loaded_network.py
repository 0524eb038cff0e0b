"""A network of the ``transformers`` library in memory, with what makes numbers of conversations."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from spatial_agent.agent.models.chat import Message
from spatial_agent.agent.models.json_text import clean_text
from spatial_agent.tools.errors import ModelUnavailableError
from spatial_agent.tools.experts.pretrained import quietly
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.scene import Picture

if TYPE_CHECKING:
    import torch


class Streamer(Protocol):
    """Takes tokens as they are generated."""

    def put(self, ids: "torch.Tensor") -> None:
        """Take the prompt, and then token after token."""
        ...

    def end(self) -> None:
        """Learn that there are no more."""
        ...


@dataclass(frozen=True)
class LoadedNetwork:
    """A model in memory.

    Attributes:
        network: Generates.
        processor: Makes numbers of messages: a processor, or a tokenizer for a model without eyes.
        has_eyes: Whether it takes pictures.
        controls: Matches the control tokens of its chats, which words must not hold; None where it has none.
    """

    network: Any
    processor: Any
    has_eyes: bool
    controls: re.Pattern[str] | None

    def inputs(self, messages: Sequence[Message]) -> Any:  # noqa: ANN401 - transformers' encoding
        """Return the numbers of a conversation, on the model's device."""
        from jinja2 import TemplateError

        try:
            return self._encoded(messages)
        except TemplateError:  # templates without a system role refuse it
            return self._encoded(_without_system(messages))

    def _encoded(self, messages: Sequence[Message]) -> Any:  # noqa: ANN401 - transformers' encoding
        content = self._content if self.has_eyes else self._words
        return self.processor.apply_chat_template(
            [{"role": message.role, "content": content(message)} for message in messages],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.network.device)

    def _content(self, message: Message) -> list[dict[str, Any]]:
        """Return the parts of a message as chat templates of models with eyes take them."""
        from PIL import Image

        content: list[dict[str, Any]] = []
        for part in message.parts:
            if isinstance(part, Picture):
                content.append({"type": "image", "image": Image.fromarray(part.rgb)})
            elif content and content[-1]["type"] == "text":
                content[-1]["text"] += f"\n{self._harmless(part)}"
            else:
                content.append({"type": "text", "text": self._harmless(part)})
        return content

    def _words(self, message: Message) -> str:
        return self._harmless(message.text)

    def _harmless(self, text: str) -> str:
        """Return words in which no control token can end a message or stand for a picture."""
        text = clean_text(text)
        if self.controls is None:
            return text
        return self.controls.sub(
            lambda token: "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}" + token[0][1:], text
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens."""
        return str(self.processor.decode(ids, skip_special_tokens=True))

    def generate(self, inputs: Any, most: int, streamer: Streamer, stop: threading.Event) -> None:  # noqa: ANN401
        """Let the model write, until it ends, reaches the longest reply, or is stopped."""
        import torch
        from transformers import StoppingCriteriaList

        def is_stopped(ids: "torch.Tensor", *_: object, **__: object) -> "torch.Tensor":
            return torch.full((ids.shape[0],), stop.is_set(), device=ids.device, dtype=torch.bool)

        with torch.inference_mode():
            self.network.generate(
                **inputs,
                max_new_tokens=most,
                streamer=streamer,
                stopping_criteria=StoppingCriteriaList([is_stopped]),
            )


def load(folder: Path, has_eyes: bool, device: str | None, name: str) -> LoadedNetwork:
    """Read a model and put it on a device.

    Raises:
        ModelUnavailableError: If libraries are missing, or the model cannot be read.
    """
    install()
    try:
        import torch
        from transformers import (
            AutoModelForCausalLM,
            AutoModelForImageTextToText,
            AutoProcessor,
            AutoTokenizer,
        )
    except ImportError as error:
        raise ModelUnavailableError(
            f"{name} needs torch, torchvision and transformers ({error}); install "
            "spatial-reasoning-agent[models]"
        ) from error
    networks: Any = AutoModelForImageTextToText if has_eyes else AutoModelForCausalLM
    processors: Any = AutoProcessor if has_eyes else AutoTokenizer
    try:
        with quietly():
            # Left out, the library asks on the terminal whether code of the model's own may run.
            own: Any = {"local_files_only": True, "trust_remote_code": False}
            processor = processors.from_pretrained(folder, **own)
            network = networks.from_pretrained(folder, **own, dtype="auto")
        network = network.eval().to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except Exception as error:  # damaged files fail in as many ways as there are readers
        raise ModelUnavailableError(
            f"{name} cannot be read ({type(error).__name__}: {error}); download it again, or choose another"
        ) from error
    if getattr(processor, "chat_template", None) is None:
        raise ModelUnavailableError(f"{name} has no chat template; choose a model that is tuned for chats")
    _make_greedy(network.generation_config)
    return LoadedNetwork(network, processor, has_eyes, _controls(getattr(processor, "tokenizer", processor)))


def _controls(tokenizer: Any) -> re.Pattern[str] | None:  # noqa: ANN401 - transformers' tokenizer
    """Return what matches the control tokens of a tokenizer, longer ones first."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    tokens = sorted({*added, *tokenizer.all_special_tokens}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, tokens))) if tokens else None


def _make_greedy(config: Any) -> None:  # noqa: ANN401 - transformers' generation config
    """Take all chance out of a generation, and the settings that only make sense with it."""
    config.do_sample = False
    config.temperature = config.top_p = config.top_k = config.min_p = config.typical_p = None
    config.max_length = None
    if config.pad_token_id is None:
        ends = config.eos_token_id
        config.pad_token_id = ends[0] if isinstance(ends, list) else ends


def _without_system(messages: Sequence[Message]) -> Sequence[Message]:
    """Return messages with the system's words at the beginning of the user's first."""
    if len(messages) < 2 or messages[0].role != "system" or messages[1].role != "user":
        return messages
    return (replace(messages[1], parts=(*messages[0].parts, *messages[1].parts)), *messages[2:])
