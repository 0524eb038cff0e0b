"""Networks of the ``transformers`` library in folders of the hub's layout, and pictures as they take them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ToolFailedError, ToolUnavailableError
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.scene import Frame

Picture = NDArray[np.uint8]
Item = TypeVar("Item")

#: What a folder of the hub holds that is read: settings, words of the tokenizer, numbers.
FILES = ("*.json", "*.txt", "*.safetensors")
#: Bytes in memory for each parameter: single precision, and as much again to work in.
BYTES_PER_PARAMETER = 8


def hub_weights(source: str, licence: str, parameters: int | None = None) -> Weights:
    """Declare the weights of a repository of the hub.

    Args:
        source: ``"owner/model"``; the second part becomes the name.
        licence: SPDX identifier, or the licence's own name.
        parameters: Counted on the architecture, or None where nobody did.
    """
    return Weights(
        name=source.partition("/")[2],
        source=f"hf:{source}",
        licence=licence,
        files=FILES,
        parameters=parameters,
        vram_gb=None if parameters is None else round(BYTES_PER_PARAMETER * 1e-9 * parameters, 2),
        vram_basis="unknown" if parameters is None else "parameters",
    )


def read_network(kind: str, folder: Path, device: str) -> Any:  # noqa: ANN401 - a torch module
    """Read a network, with none of its numbers left to chance, and put it on a device.

    Args:
        kind: Name of its class in ``transformers``.
        folder: With ``config.json`` and the numbers as safetensors.
        device: Such as ``"cpu"`` or ``"cuda:0"``.

    Raises:
        ToolUnavailableError: If torch or transformers is missing, or the weights cannot be read or are not
            whole.
    """
    network, loading = _read(kind, folder, output_loading_info=True)
    # What is no parameter is a constant, which the library fills in itself.
    parameters = {name for name, _ in network.named_parameters()}
    missing = sorted(parameters & set(loading["missing_keys"]))
    if missing:
        raise ToolUnavailableError(
            f"the weights in {folder} lack {len(missing)} tensors of {kind}, such as {missing[0]!r}; "
            "they are of another network or damaged: pull them again"
        )
    return network.eval().to(device)


def read_processor(kind: str, folder: Path) -> Any:  # noqa: ANN401 - any of transformers' processors
    """Read what prepares a network's input.

    Args:
        kind: Name of its class in ``transformers``.
        folder: With its settings, and the words of its tokenizer.

    Raises:
        ToolUnavailableError: If torch or transformers is missing, or the settings cannot be read.
    """
    return _read(kind, folder)


def picture_of(frame: Frame) -> Picture:
    """Return the picture of a frame, shape (H, W, 3).

    Raises:
        ToolFailedError: If it has none.
    """
    if frame.rgb is None:
        raise ToolFailedError(
            f"frame {frame.header.name} has no colour image to look at; choose a frame that has one"
        )
    return frame.rgb


def prepared(processor: Any, pictures: Sequence[Picture], device: str) -> Any:  # noqa: ANN401 - transformers'
    """Return what an image processor makes of pictures, on a device, with ``pixel_values``."""
    import torch

    images = [torch.tensor(picture, device=device).permute(2, 0, 1) for picture in pictures]
    return processor(images=images, return_tensors="pt", device=device, input_data_format="channels_first")


def parts(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    """Cut a sequence into parts of at most so many.

    >>> list(parts("abcde", 2))
    ['ab', 'cd', 'e']
    """
    return (items[start : start + most] for start in range(0, len(items), most))


def on_gpu(device: str) -> bool:
    """Return whether a device such as ``"cuda:0"`` computes faster in half precision and large batches."""
    return device.startswith("cuda")


def half_where_faster(device: str, kind: str = "float16") -> Any:  # noqa: ANN401 - torch's context manager
    """Return a context in which an accelerator multiplies matrices in half precision.

    What a network adds up, such as where a box lies, stays in single precision: in half of it a box would
    jump by pixels.

    Args:
        device: Such as ``"cpu"``, where nothing changes.
        kind: ``"float16"``, or ``"bfloat16"`` for networks trained in it.
    """
    import torch

    return torch.autocast(device.partition(":")[0], getattr(torch, kind), enabled=on_gpu(device))


def _read(kind: str, folder: Path, **options: Any) -> Any:  # noqa: ANN401 - whatever kind says
    install()
    try:
        # By name, since the library itself resolves its names only when they are asked for.
        read: Callable[..., Any] = getattr(import_module("transformers"), kind).from_pretrained
    except (ImportError, AttributeError) as error:
        raise ToolUnavailableError(
            f"{kind} needs torch, torchvision and transformers ({error}); "
            "install spatial-reasoning-agent[models]"
        ) from error
    try:
        with quietly():
            return read(folder, local_files_only=True, **options)
    except Exception as error:  # damaged files fail in as many ways as there are readers
        raise ToolUnavailableError(
            f"{kind} cannot be read from {folder} ({type(error).__name__}: {error}); pull the weights again"
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Keep progress bars, and notes on what a checkpoint holds besides, off the terminal."""
    logging: Any = import_module("transformers.utils.logging")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
