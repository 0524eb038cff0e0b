"""The command line in its own process: what it prints, writes and returns."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatial_agent.tools.mapping.scene_file import write_scene
from spatial_agent.tools.synthetic import SyntheticRoom, write_scan

COMMAND = (sys.executable, "-c", "from spatial_agent.services.cli import main; main()")


def run(
    *arguments: str, cache: Path, timeout: float = 120, weights: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SPATIAL_AGENT_CACHE": str(cache), "COLUMNS": "200", "NO_COLOR": "1"}
    if weights is not None:
        environment["SPATIAL_AGENT_WEIGHTS"] = str(weights)
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        check=False,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("scene") / "room.json"
    write_scene(SyntheticRoom.example().scene_map(), path)
    return str(path)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("scan") / "room"
    return str(write_scan(SyntheticRoom.example().resized(320, 240).frames(), folder))


def test_help_loads_nothing_heavy(cache: Path) -> None:
    code = (
        "import sys\nfrom spatial_agent.services.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'langgraph', 'open3d', 'torch', 'scipy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Answer a question about a scene" in done.stdout


def test_importing_the_python_door_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom spatial_agent.services import open_agent\n"
        "heavy = {'langgraph', 'fastapi', 'ray', 'open3d', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_an_answer_as_json_is_the_published_format(scene_file: str, cache: Path) -> None:
    done = run("ask", scene_file, "How tall is the table in feet?", "--json", cache=cache)
    answer = json.loads(done.stdout)

    assert done.returncode == 0
    assert answer["format"] == "spatial-agent/answer@1"
    assert answer["value"] == pytest.approx(0.74 / 0.3048)
    assert answer["unit"] == "ft"
    assert answer["evidence"][0]["definition"] == "size.height"


def test_options_give_a_letter(scene_file: str, cache: Path) -> None:
    question = "Which of these objects (tv, lamp) is the closest to the sofa?"
    done = run("ask", scene_file, question, "--option", "A. tv", "--option", "B. lamp", "--json", cache=cache)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"] == "B"


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("SCENE", "Frobnicate the sofa"), 2, "what can be asked"),
        (("SCENE", "How tall is the table?", "--profile", "wrong"), 2, "expected recorded, open, best"),
        (("SCENE", "How tall is the table?", "--instances", "wrong"), 2, "expected recorded, yolo"),
        (("SCENE", "How tall is the table?", "--runner", "wrong"), 2, "expected local or ray"),
        (("SCENE", "How far is the chair from the sofa?"), 3, "chair-1"),
        (("missing.json", "How tall is the table?"), 4, "no such file"),
        (("SCENE", "How tall is the table?", "--wrong"), 2, "No such option"),
    ],
)
def test_exit_codes_say_who_must_act(
    arguments: tuple[str, ...], code: int, part: str, scene_file: str, cache: Path
) -> None:
    done = run("ask", *(scene_file if item == "SCENE" else item for item in arguments), cache=cache)

    assert done.returncode == code, done.stderr
    assert part in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_weights_that_are_not_here_are_named_with_the_command_that_gets_them(
    scene_file: str, cache: Path, tmp_path: Path
) -> None:
    done = run(
        "ask", scene_file, "How tall is the table?", "--profile", "open", cache=cache, weights=tmp_path
    )

    assert done.returncode == 2, done.stderr
    assert "spatial-agent models pull grounding-dino-tiny" in done.stderr
    assert "licence Apache-2.0" in done.stderr


def test_a_photograph_is_counted_without_weights_for_depth(
    test_data: Path, weights: Path, tmp_path: Path
) -> None:
    photo = str(test_data / "dining_room" / "color" / "1.png")
    chosen = ("--profile", "open", "--instances", "yolox")
    counted = run("ask", photo, "How many chairs are there?", *chosen, cache=tmp_path)
    measured = run("ask", photo, "How far is chair-1 from chair-2?", *chosen, cache=tmp_path)

    assert counted.returncode == 0, counted.stderr
    assert "not how far or how big" in counted.stdout
    assert "Apache-2.0" in counted.stderr
    assert measured.returncode == 3, measured.stderr
    assert "needs depth" in measured.stdout


def test_a_damaged_scan_is_bad_input_and_leaves_nothing_behind(scan: str, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    subprocess.run(["cp", "-r", scan, str(folder)], check=True)
    depth = next(folder.rglob("depth/*.png"))
    depth.write_bytes(depth.read_bytes()[:500])
    done = run("ask", str(folder), "How many chairs are there?", cache=tmp_path / "cache")

    assert done.returncode == 4, done.stdout + done.stderr
    assert depth.name in done.stderr
    assert not list((tmp_path / "cache").rglob("*.npz"))


def test_an_interrupt_ends_the_run_and_leaves_nothing_half_written(scan: str, tmp_path: Path) -> None:
    environment = os.environ | {"SPATIAL_AGENT_CACHE": str(tmp_path)}
    with subprocess.Popen(
        [*COMMAND, "ask", scan, "How many chairs are there?"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # The trace appears when the run starts, which is before the scene is measured.
        while not list(tmp_path.rglob("*.jsonl")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)

    assert process.returncode == 130, error
    assert "interrupted" in error
    assert "Traceback" not in error
    assert not list(tmp_path.rglob("*.npz")) + list(tmp_path.rglob("*.partial"))


def test_a_picture_and_a_trace_are_written(scan: str, cache: Path, tmp_path: Path) -> None:
    picture, trace = tmp_path / "answer.png", tmp_path / "run.jsonl"
    done = run(
        "ask",
        scan,
        "How far is the sofa from the tv?",
        "--picture",
        str(picture),
        "--trace",
        str(trace),
        cache=cache,
    )

    assert done.returncode == 0, done.stderr
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 190) & (pixels[..., 1] < 70) & (pixels[..., 2] < 70)
    # The measured line stands in the map, the right part, and is longer than a label.
    assert red[:, pixels.shape[1] * 3 // 5 :].sum() > 300
    shown = run("trace", "show", str(trace), cache=cache)
    assert shown.returncode == 0
    assert "verify" in shown.stdout


def test_a_scene_is_built_into_files_others_read(scan: str, cache: Path, tmp_path: Path) -> None:
    import trimesh

    done = run("scene", "build", scan, "--mesh", "--out", str(tmp_path / "out"), cache=cache)

    assert done.returncode == 0, done.stderr
    assert "sofa-1" in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scene.json",
        "cloud.ply",
        "mesh.ply",
        "scene.glb",
        "map.png",
    }
    room = trimesh.load(tmp_path / "out" / "scene.glb")
    height_m = room.bounds[1][1] - max(room.bounds[0][1], 0.0)
    assert 1.5 < height_m < 3.0
    again = run("ask", str(tmp_path / "out" / "scene.json"), "How many chairs are there?", cache=cache)
    assert again.returncode == 0


def test_the_second_question_finds_the_scene_in_the_cache(scan: str, cache: Path) -> None:
    first = run("ask", scan, "How many chairs are there?", "--json", cache=cache)
    second = run("ask", scan, "How many sofas are there?", "--json", cache=cache)
    trace = run("trace", "show", json.loads(second.stdout)["trace_id"], "--json", cache=cache)
    load = next(json.loads(line) for line in trace.stdout.splitlines() if json.loads(line)["kind"] == "load")

    assert json.loads(first.stdout)["scene"] == json.loads(second.stdout)["scene"]
    assert load["data"]["scene"]["cached"] is True


def test_a_program_runs_over_a_scene_and_its_pictures_are_written(
    scene_file: str, cache: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "print(len(scene.objects))\nshow(np.full((4, 6, 3), 200, np.uint8))\nanswer(1.25, unit='m')\n"
    )
    done = run("run", str(program), scene_file, "--json", "--pictures", str(tmp_path / "out"), cache=cache)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["answer"] == {"value": 1.25, "unit": "m", "low": None, "high": None}
    assert said["output"] == f"{len(SyntheticRoom.example().scene_map().objects)}\n"
    with Image.open(said["pictures"][0]) as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((6, 4), (200, 200, 200))


def test_a_program_that_fails_says_where(scene_file: str, cache: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("x = 1\nopen('/etc/passwd')\n")
    done = run("run", str(program), scene_file, cache=cache)
    assert done.returncode == 5
    assert "line 2" in done.stdout


def test_tools_schema_and_doctor(cache: Path) -> None:
    listed = run("tools", "list", cache=cache)
    assert "distance" in listed.stdout
    schema = json.loads(run("scene", "schema", cache=cache).stdout)
    assert "objects" in schema["required"]
    doctor = run("doctor", cache=cache)
    assert doctor.returncode == 0, doctor.stdout
    assert "numpy" in doctor.stdout
    assert "sandbox seccomp" in doctor.stdout
