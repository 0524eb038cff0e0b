"""The key of a model's server goes to that server, and nothing that is written or started holds it."""

import logging
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.answer import Answer
from spatial_agent.agent.models.openai_compatible import OpenAICompatible
from spatial_agent.agent.models.opening import open_model
from spatial_agent.services import console
from spatial_agent.services.doctor import _model as examine_model
from spatial_agent.services.ray_confinement import is_kept
from spatial_agent.services.runtime import Choices, build_agent
from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import ConfigurationError, ModelUnavailableError
from spatial_agent.tools.synthetic import SyntheticRoom
from tests.agent.models.dialects.asking import WORDS, ask
from tests.agent.models.dialects.served import Body, Called, Refusal, Says, Serve, Server, serving

#: Looks like no key that anybody knows, so that no pattern finds it.
CANARY = "Canary.7f31/Qz=="
SCENE = SyntheticRoom.example().scene_map()
TASK = (
    '{"intent": "open", "entities": ["sofa", "tv"], "objective": "how long a carpet between them may be", '
    '"answer_form": "number", "viewpoint": "none", "unit": "m"}'
)
PROGRAM = "{\"source\": \"d = tools.distance(scene='$scene', a='sofa', b='tv')\\nprint(sorted(globals()))\"}"
QUESTION = "I want a carpet from the sofa to the tv: how long may it be?"


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SPATIAL_AGENT_MODEL_KEY", CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("SPATIAL_AGENT_CACHE", str(tmp_path / "cache"))
    return Settings(model="none")


@dataclass
class Watching(Server):
    """A server that looks around whenever it is asked."""

    look: Callable[[], None] = lambda: None
    looks: int = field(default=0)

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        assert headers["authorization"] == f"Bearer {CANARY}"
        self.looks += 1
        self.look()


def opened(settings: Settings, server: Server) -> SpatialAgent:
    return build_agent(Choices(model=f"openai:canary@{server.url}"), settings=settings)


def files_with_canary(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if CANARY.encode() in path.read_bytes()]


def children(process: int) -> Iterator[int]:
    """Yield the processes that a process and its children have started."""
    try:
        lists = [(task / "children").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended
    for child in (int(number) for numbers in lists for number in numbers.split()):
        yield child
        yield from children(child)


def known_to(process: int) -> list[bytes]:
    """Return the environment and the arguments of a process; of one that has ended, nothing."""
    try:
        return [Path(f"/proc/{process}/{name}").read_bytes() for name in ("environ", "cmdline")]
    except (FileNotFoundError, ProcessLookupError):
        return []


def shown(answer: Answer, capsys: pytest.CaptureFixture[str]) -> str:
    console.print_answer(answer)
    console.print_json(answer.to_json())
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_a_whole_question_leaves_the_key_nowhere(
    settings: Settings,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found: list[object] = []
    read: list[bytes] = []

    def look() -> None:
        found.extend(files_with_canary(settings.cache_folder))
        for child in children(os.getpid()):
            read.extend(known_to(child))

    answers = [
        Says(TASK),
        Says(calls=(Called("program", PROGRAM),)),
        Says("Enough is known."),
        Says('{"reason": "", "answer": "3", "unit": "m", "cites": ["e1"]}'),
    ]
    server = Watching(answers, look=look)
    serve(server)
    caplog.set_level(logging.DEBUG)
    with opened(settings, server) as agent:
        answer = agent.ask(SCENE, QUESTION)
        look()
        said = [repr(agent), repr(settings), repr(vars(agent)), caplog.text, shown(answer, capsys)]
    look()
    assert server.looks >= 4
    assert any(read), "the program was run in no process of its own"
    found.extend(known for known in read if CANARY.encode() in known)
    assert any("distance" in str(item["claim"]) or "from the tv" in item["claim"] for item in answer.evidence)
    assert any(settings.runs_folder.glob("*.jsonl"))
    assert (settings.runs_folder / "checkpoints.sqlite").stat().st_size > 0
    assert found == []
    assert [text for text in said if CANARY in text] == []


def test_a_server_that_repeats_the_key_in_its_refusal_is_not_quoted_with_it(
    settings: Settings, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = Refusal(401, {"error": {"message": f"Incorrect API key provided: {CANARY}."}})
    server = serve(Server([refusal] * 4))
    with opened(settings, server) as agent:
        answer = agent.ask(SCENE, "How tall is the sofa?")
    assert any("refused the key" in sentence for sentence in answer.degraded)
    assert CANARY not in shown(answer, capsys)
    assert files_with_canary(settings.cache_folder) == []


def test_errors_hold_no_key_not_even_in_what_they_came_from(serve: Serve) -> None:
    server = serve(Server([Refusal(401, {"error": {"message": f"no such key: {CANARY}"}})]))
    model = OpenAICompatible("canary", server.url, CANARY)
    with pytest.raises(ModelUnavailableError) as caught:
        ask(model, WORDS)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in report.stack if "/tests/" not in frame.filename]
    assert any("openai_compatible" in frame.filename for frame in ours)
    assert CANARY not in str(caught.value)
    assert CANARY not in str([frame.locals for frame in ours])
    assert CANARY not in repr(model)


def test_openais_key_goes_to_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.delenv("SPATIAL_AGENT_MODEL_KEY", raising=False)
    settings = Settings()
    for openai in ("openai:gpt-4o", "openai:gpt-4o@https://api.openai.com/v1", "openai:gpt-4o?context=8192"):
        assert settings.key_for(openai) == CANARY
    for other in (
        "openai:qwen@http://127.0.0.1:8000/v1",
        "openai:qwen@http://api.openai.com/v1",
        "openai:qwen@https://api.openai.com.evil.test/v1",
        "openai:qwen@https://evil.test/api.openai.com",
        "hf:openai/gpt",
        "none",
    ):
        assert settings.key_for(other) is None


def test_a_key_that_is_set_for_the_model_goes_wherever_it_is(settings: Settings) -> None:
    assert settings.key_for("openai:qwen@http://10.0.0.7:8000/v1") == CANARY
    assert settings.key_for("hf:a-model") is None


@pytest.mark.parametrize(
    "choice",
    [
        f"openai:m@https://me:{CANARY}@h.test/v1",
        f"openai:m@https://me:{CANARY}@h.test:no-port/v1",
        f"openai:https://me:{CANARY}@h.test/v1",
        f"https://me:{CANARY}@h.test/v1",
        f"openai:m@https://h.test/v1?api_key={CANARY}",
        f"https://h.test/v1?key={CANARY}",
    ],
)
def test_a_key_in_an_address_is_refused_and_not_repeated(
    choice: str, settings: Settings, tmp_path: Path
) -> None:
    for use in (lambda: open_model(choice, key=None), lambda: build_agent(Choices(model=choice))):
        with pytest.raises(ConfigurationError) as caught:
            use()
        assert "Canary" not in "".join(traceback.format_exception(caught.value))
    given = Settings(cache_folder=tmp_path, model=choice)
    assert "Canary" not in repr(given) + repr(examine_model(given))


@pytest.mark.parametrize(
    "choice", ["openai:m@localhost:8000/v1", "openai:m@10.0.0.7:80", "openai:m@a.test/v1"]
)
def test_half_an_address_is_no_name_of_a_model_at_openai(choice: str) -> None:
    with pytest.raises(ConfigurationError, match="begins with http://"):
        open_model(choice, key=CANARY)


@pytest.mark.parametrize("name", ["claude@20240229", "@cf/meta/llama-3.1-8b", "@hf/owner/model-7b.gguf"])
def test_names_may_have_an_at_sign(name: str) -> None:
    model = open_model(f"openai:{name}", key=None)
    assert model is not None
    assert model.name == f"openai:{name}"


def test_the_doctor_says_where_a_key_goes_bare(settings: Settings, tmp_path: Path) -> None:
    def told(model: str) -> str:
        return examine_model(Settings(cache_folder=tmp_path, model=model)).detail

    assert "UNENCRYPTED" in told("openai:m@http://10.0.0.7:8000/v1")
    for safe in ("openai:m@https://a.test/v1", "openai:m@http://127.0.0.1:8000/v1", "openai:m"):
        assert told(safe) == "openai:m, with a key"


def test_processes_of_experts_keep_no_key() -> None:
    assert not is_kept("SPATIAL_AGENT_MODEL_KEY")
    assert not is_kept("OPENAI_API_KEY")
