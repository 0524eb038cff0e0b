"""Small random networks that look for words: YOLO-World, YOLOE, and text encoders of their kind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.tools.experts.text_vectors import CLIP_FOLDER
from spatial_agent.tools.experts.ultralytics_models import open_model
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.scene import Frame, FrameHeader

#: What CLIP's tokenizer reads letters as, and the pairs it joins here.
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PAIRS = ("c h", "ch a", "l a", "m p</w>", "la mp</w>")

Pictures = Callable[..., Frame]
#: Looks for two things in a process of its own, where no start of a program and no connection goes unheard.
ALONE = """
import sys
heard = []
EVENTS = (
    "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork",
    "socket.connect", "socket.getaddrinfo", "urllib.Request",
)
sys.addaudithook(lambda event, arguments: heard.append(f"{event} {arguments}") if event in EVENTS else None)
from importlib import import_module
from pathlib import Path
import json
import os
import subprocess
import numpy as np
from spatial_agent.tools.scene import Frame, FrameHeader
module, name, file = sys.argv[1:]
expert = getattr(import_module(f"spatial_agent.tools.experts.{module}"), name)(Path(file))
expert.load("cpu")
found = expert(Frame(FrameHeader(0, "x"), np.zeros((96, 160, 3), np.uint8)), ["lamp", "chat"], 0.0)
assert len(found) > 0
assert not {"clip", "mobileclip", "ultralytics.nn.text_model"} & set(sys.modules)
until_now = list(heard)
subprocess.run([sys.executable, "-c", ""])
assert len(heard) > len(until_now), "a start is heard"
print(json.dumps(until_now))
"""


@pytest.fixture(scope="session")
def picture() -> Pictures:
    """``picture(seed, height=120, width=200)``: a frame of coarse noise that is not square."""

    def frame(seed: int = 0, height: int = 120, width: int = 200) -> Frame:
        coarse = np.random.default_rng(seed).integers(0, 256, (height // 20, width // 20, 3), np.uint8)
        return Frame(FrameHeader(seed, f"{seed:06d}"), coarse.repeat(20, axis=0).repeat(20, axis=1))

    return frame


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random text encoder of CLIP's architecture and a tokenizer of a few words."""
    pytest.importorskip("torch").set_num_threads(1)
    pytest.importorskip("transformers")
    install()
    import torch
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    folder = tmp_path_factory.mktemp("weights") / CLIP_FOLDER
    folder.mkdir()
    words = [*LETTERS, *(letter + "</w>" for letter in LETTERS), *("".join(pair.split()) for pair in PAIRS)]
    numbers = {word: k for k, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(PAIRS) + "\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(numbers),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        projection_dim=512,
        bos_token_id=numbers["<|startoftext|>"],
        eos_token_id=numbers["<|endoftext|>"],
    )
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_weights() -> Callable[[Path, str], Path]:
    """``make_weights(folder, "yolov8n-worldv2")``: random weights of an architecture that see something."""
    pytest.importorskip("ultralytics")

    def make(folder: Path, name: str) -> Path:
        import torch

        torch.manual_seed(1)
        model = open_model(Path(f"{name}.yaml"), "segment" if "seg" in name else "detect")
        with torch.no_grad():
            for head in model.model.model[-1].cv4:  # as made it is sure that nothing is anywhere
                head.bias.zero_()
                head.logit_scale.fill_(1.0)
        model.save(folder / f"{name}.pt")
        return folder / f"{name}.pt"

    return make


@pytest.fixture(scope="session")
def heard_alone() -> Callable[[str, str, Path], list[str]]:
    """``heard_alone("yoloe", "Yoloe", file)``: what an expert starts or connects to while it is used."""

    def run(module: str, name: str, file: Path) -> list[str]:
        command = [sys.executable, "-W", "ignore", "-c", ALONE, module, name, str(file)]
        # Without what keeps these tests themselves offline.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "YOLO_"))}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return [str(event) for event in json.loads(done.stdout.splitlines()[-1])]

    return run
