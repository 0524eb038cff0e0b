"""Vectors of phrases: stored, encoded, and said to be missing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError, ToolUnavailableError
from spatial_agent.tools.experts.text_vectors import (
    TextVectors,
    clip_encoder,
    script_encoder,
    stored_vectors,
    tokenizer,
)

ADVICE = "put the encoder there"


def test_stored_vectors_are_read_from_either_kind_of_file(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    vectors = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    np.savez(tmp_path / "a.npz", names=np.array(["chair", "floor lamp"]), embeddings=vectors[None])
    save_file(
        {"embeddings": vectors}, tmp_path / "b.safetensors", {"names": json.dumps(["chair", "floor lamp"])}
    )
    for name in ("a.pt", "b.pt"):
        stored = stored_vectors(tmp_path / name)
        assert list(stored) == ["chair", "floor lamp"]
        np.testing.assert_array_equal(stored["floor lamp"], vectors[1])
    assert stored_vectors(tmp_path / "c.pt") == {}


@pytest.mark.parametrize("content", ["not a file of arrays", "one name too few", "nan", "pickled"])
def test_a_damaged_file_of_vectors_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "a.npz"
    vectors = np.ones((2, 8), np.float32)
    if content == "not a file of arrays":
        file.write_bytes(b"text")
    elif content == "one name too few":
        np.savez(file, names=np.array(["chair"]), embeddings=vectors)
    elif content == "nan":
        np.savez(file, names=np.array(["chair", "lamp"]), embeddings=vectors * np.nan)
    else:
        np.savez(file, names=np.array(["chair", {"code": 1}], object), embeddings=vectors)
    with pytest.raises(ConfigurationError, match=r"a\.npz: expected"):
        stored_vectors(tmp_path / "a.pt")


def test_a_phrase_is_found_however_it_is_written_and_encoded_once() -> None:
    asked: list[list[str]] = []

    def encode(phrases: list[str] | tuple[str, ...]) -> np.ndarray:
        asked.append(list(phrases))
        return np.array([[len(text), 0] for text in phrases], np.float32)

    vectors = TextVectors({"Floor Lamp": np.array([1, 2], np.float32)}, lambda p: encode(list(p)), ADVICE)
    np.testing.assert_array_equal(vectors.of(["floor lamp", "sofa"]), [[1, 2], [4, 0]])
    np.testing.assert_array_equal(vectors.of(["sofa"]), [[4, 0]])
    assert asked == [["sofa"]]


def test_what_is_neither_stored_nor_encoded_is_said_with_what_to_do() -> None:
    vectors = TextVectors({"chair": np.ones(2, np.float32)}, None, ADVICE)
    with pytest.raises(
        MissingWeightsError, match=r"no text vectors for 'sofa' \(stored: chair\); put the enc"
    ):
        vectors.of(["chair", "sofa"])


def test_tokens_are_clips_own_with_zeros_after_the_end(clip: Path) -> None:
    vocabulary = json.loads((clip / "vocab.json").read_text())
    start, end = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    lamp, cha = vocabulary["lamp</w>"], vocabulary["cha"]

    found = tokenizer(clip)(["lamp", "chat lamp", "a" * 200])

    assert found.shape == (3, 77)
    assert found[0].tolist() == [start, lamp, end] + [0] * 74
    assert found[1].tolist() == [start, cha, vocabulary["t</w>"], lamp, end] + [0] * 72
    assert (found[2, 0], found[2, -1]) == (start, end)  # cut, but ended


def test_clips_vectors_are_those_of_transformers_at_unit_length(clip: Path) -> None:
    import torch
    from transformers import CLIPTextModelWithProjection

    encode = clip_encoder(clip)
    assert encode is not None
    found = encode(["lamp", "chat lamp"])

    vocabulary = json.loads((clip / "vocab.json").read_text())
    start, end, lamp = (vocabulary[word] for word in ("<|startoftext|>", "<|endoftext|>", "lamp</w>"))
    model: Any = CLIPTextModelWithProjection.from_pretrained(clip, local_files_only=True)
    model.eval()
    with torch.inference_mode():  # one phrase alone needs no filling up
        own = model(input_ids=torch.tensor([[start, lamp, end]])).text_embeds[0].numpy()
    np.testing.assert_allclose(found[0], own / np.linalg.norm(own), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert abs(float(found[0] @ found[1])) < 0.999


def test_no_folder_is_no_encoder_and_a_broken_one_is_an_error(tmp_path: Path, clip: Path) -> None:
    assert clip_encoder(tmp_path / "none") is None
    assert script_encoder(tmp_path / "none.ts", clip) is None
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ToolUnavailableError, match="cannot be read"):
        clip_encoder(tmp_path)
    (tmp_path / "broken.ts").write_bytes(b"no script")
    with pytest.raises(ConfigurationError, match="expected a text encoder as TorchScript"):
        script_encoder(tmp_path / "broken.ts", clip)
