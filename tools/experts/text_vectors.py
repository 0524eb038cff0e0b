"""Vectors that stand for phrases, from a file beside the weights or a text encoder beside them.

A detector trained with a text encoder knows words only as that encoder's vectors. They can be computed
anywhere once and stored, so that the detector runs without the encoder. Nothing here fetches anything.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError
from spatial_agent.tools.experts.open_vocabulary import phrase
from spatial_agent.tools.experts.pretrained import read_network, read_processor

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
#: Folder with CLIP's tokenizer, and for YOLO-World its text encoder: ``openai/clip-vit-base-patch32`` (MIT).
CLIP_FOLDER = "clip-vit-base-patch32"
#: Tokens of a phrase, as all these encoders were trained.
CONTEXT = 77


class TextVectors:
    """Finds the vectors of phrases, stored ones first.

    Args:
        stored: Vectors by phrase.
        encode: Computes those of other phrases, shape (N, D); None where there is no text encoder.
        advice: What to put where, for whoever asks for a phrase that is not stored.
    """

    def __init__(self, stored: Mapping[str, Vectors], encode: Encode | None, advice: str) -> None:
        """Compute nothing yet."""
        self._known = {phrase(name): vector for name, vector in stored.items()}
        self._encode = encode
        self._advice = advice

    def of(self, phrases: Sequence[str]) -> Vectors:
        """Return the vectors of phrases, shape (N, D).

        Raises:
            MissingWeightsError: If one is not stored and there is no text encoder.
        """
        missing = [text for text in phrases if text not in self._known]
        if missing and self._encode is None:
            stored = ", ".join(sorted(self._known)) or "none"
            raise MissingWeightsError(
                f"no text vectors for {', '.join(map(repr, missing))} (stored: {stored}); {self._advice}"
            )
        if missing and self._encode is not None:
            self._known |= zip(missing, self._encode(missing), strict=True)
        return np.stack([self._known[text] for text in phrases])


def stored_vectors(weights: Path) -> dict[str, Vectors]:
    """Return the vectors stored beside weights, by phrase; empty where there are none.

    They are in ``NAME.npz`` with ``names`` (N texts) and ``embeddings`` (N, D) or (1, N, D), as ultralytics
    writes them, or in ``NAME.safetensors`` with ``embeddings`` and the names as a JSON list in its metadata.

    Raises:
        ConfigurationError: If a file is not of that form.
    """
    for suffix, read in ((".npz", _read_npz), (".safetensors", _read_safetensors)):
        file = weights.with_suffix(suffix)
        if file.is_file() and file != weights:
            try:
                names, embeddings = read(file)
                vectors = embeddings.astype(np.float32).reshape(len(names), embeddings.shape[-1])
            except Exception as error:  # damaged files fail in as many ways as there are readers
                raise ConfigurationError(
                    f"{file}: expected text vectors as names and embeddings ({type(error).__name__}: {error})"
                ) from error
            if not np.isfinite(vectors).all():
                raise ConfigurationError(f"{file}: expected finite text vectors, got NaN or infinity")
            return dict(zip(names, vectors, strict=True))
    return {}


def clip_encoder(folder: Path) -> Encode | None:
    """Return CLIP's text encoder from a folder of the hub's layout, or None where there is none.

    Vectors are of unit length, as the image side was trained to meet them.

    Raises:
        ToolUnavailableError: If the folder is there and cannot be read.
    """
    if not (folder / "config.json").is_file():
        return None
    tokens = tokenizer(folder)
    model = read_network("CLIPTextModelWithProjection", folder, "cpu")

    def encode(phrases: Sequence[str]) -> Vectors:
        import torch

        with torch.inference_mode():
            vectors = model(input_ids=torch.from_numpy(tokens(phrases))).text_embeds
            unit: Vectors = torch.nn.functional.normalize(vectors, dim=-1).float().numpy()
        return unit

    return encode


def script_encoder(file: Path, folder: Path) -> Encode | None:
    """Return a text encoder stored as TorchScript, or None where it or CLIP's tokenizer is missing.

    Args:
        file: Takes token numbers, shape (N, 77), and gives vectors, shape (N, D).
        folder: With CLIP's tokenizer.

    Raises:
        ConfigurationError: If the file is no TorchScript.
        ToolUnavailableError: If the tokenizer cannot be read.
    """
    if not (file.is_file() and (folder / "tokenizer_config.json").is_file()):
        return None
    tokens = tokenizer(folder)
    torch: Any = import_module("torch")
    try:
        with warnings.catch_warnings():  # deprecated, but this encoder is published in no other form
            warnings.simplefilter("ignore", DeprecationWarning)
            model = torch.jit.load(str(file), map_location="cpu").eval()
    except RuntimeError as error:
        raise ConfigurationError(f"{file}: expected a text encoder as TorchScript: {error}") from error

    def encode(phrases: Sequence[str]) -> Vectors:
        with torch.inference_mode():
            vectors: Vectors = model(torch.from_numpy(tokens(phrases))).float().numpy()
        return vectors

    return encode


def tokenizer(folder: Path) -> Callable[[Sequence[str]], NDArray[np.int64]]:
    """Return CLIP's tokenizer: phrases to numbers, shape (N, 77), zeros after the end of each.

    CLIP itself fills up with zeros; `transformers` would with the number that ends a phrase, which an
    encoder that looks at all tokens takes for words.
    """
    read = read_processor("CLIPTokenizer", folder)

    def tokens(phrases: Sequence[str]) -> NDArray[np.int64]:
        numbers = np.zeros((len(phrases), CONTEXT), np.int64)
        for row, ids in zip(
            numbers, read(list(phrases), truncation=True, max_length=CONTEXT).input_ids, strict=True
        ):
            row[: len(ids)] = ids
        return numbers

    return tokens


def _read_npz(file: Path) -> tuple[list[str], Vectors]:
    with np.load(file, allow_pickle=False) as data:
        return data["names"].tolist(), data["embeddings"]


def _read_safetensors(file: Path) -> tuple[list[str], Vectors]:
    from safetensors import safe_open

    with safe_open(str(file), "numpy") as data:
        return json.loads(data.metadata()["names"]), data.get_tensor("embeddings")
