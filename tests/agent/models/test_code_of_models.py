"""A model's folder may hold code of its own: it is never run, and nobody is asked whether it may be."""

import asyncio
import json
from pathlib import Path

import pytest

from spatial_agent.agent.models.chat import ChatRequest, Message
from spatial_agent.agent.models.in_process import InProcess
from spatial_agent.tools.errors import ModelUnavailableError

transformers = pytest.importorskip("transformers")


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    code = f"from pathlib import Path\nPath({str(ran)!r}).write_text('code ran')\nclass Own: pass\n"
    for name in ("configuration_own.py", "modeling_own.py", "tokenization_own.py"):
        (tmp_path / name).write_text(code)
    auto = {
        "AutoConfig": "configuration_own.Own",
        "AutoModelForCausalLM": "modeling_own.Own",
        "AutoTokenizer": ["tokenization_own.Own", None],
    }
    config = {"model_type": "own", "auto_map": auto, "architectures": ["Own"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"auto_map": auto}))
    asked: list[str] = []

    def yes(question: str = "") -> str:
        asked.append(question)
        return "y"

    monkeypatch.setattr("builtins.input", yes)
    model = InProcess(tmp_path)
    request = ChatRequest((Message("user", ("Hello",)),), "answer")
    with pytest.raises(ModelUnavailableError, match="cannot be read"):
        asyncio.run(model.reply(request))
    asyncio.run(model.close())
    assert asked == []
    assert not ran.exists()
