"""How one question is answered, as a page: ``python -m tests.walkthrough.page`` writes it and its picture.

Only the words between the blocks are written by hand: the rest is what one run wrote to its trace.
"""

import json
import re
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.models.chat import ChatRequest
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.agent.state import Source
from spatial_agent.agent.trace import Step, read_trace
from spatial_agent.services.runtime import Choices, build_agent
from spatial_agent.services.settings import Settings
from spatial_agent.tools.scene import Picture

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-it-answers.md"
PICTURE = ROOT / "docs" / "images" / "how-it-answers.png"
SCAN = "examples/scans/living_room"
QUESTION = "Standing at the sofa and facing the tv, where is the armchair?"
#: What the picture suggests to whoever forgets that the observer is not the camera.
AT_FIRST_SIGHT = "right"
#: Size of the picture on the page, and its colours, to keep it small.
WIDTH_PX, COLOURS = 480, 128
#: Rows of a prompt's table of measurements: id, claim, value.
ROW = re.compile(r'^(e\d+) \| "(.*?)" \| "?(.*?)"? \|', re.MULTILINE)


@dataclass(frozen=True)
class Walk:
    """One run.

    Attributes:
        answer: What was answered.
        steps: Its trace.
        requests: What the model was asked.
    """

    answer: Answer
    steps: Sequence[Step]
    requests: Sequence[ChatRequest]

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the data of the steps of a kind."""
        return [step.data for step in self.steps if step.kind == kind]

    def request(self, purpose: str) -> ChatRequest:
        """Return the first request for a purpose."""
        return next(request for request in self.requests if request.purpose == purpose)

    def reply(self, purpose: str) -> str:
        """Return what the model said to it."""
        asked = {data["number"]: data["purpose"] for data in self.of("model_request")}
        return next(str(data["text"]) for data in self.of("model_reply") if asked[data["number"]] == purpose)


def play(request: ChatRequest) -> Mapping[str, Any]:
    """Play the model: it writes the question down, goes by the picture, and reads when told to check."""
    if request.purpose == "formalise":
        return {
            "document": {
                "objective": "on which side of the observer the armchair is",
                "intent": "direction",
                "entities": ["armchair"],
                "viewpoint": "observer",
                "at": "sofa",
                "facing": "tv",
                "answer_form": "name",
            }
        }
    if request.purpose == "answer":
        reason = "In picture 1 the armchair is to the right of the sofa."
        return {"document": {"reason": reason, "answer": AT_FIRST_SIGHT, "cites": []}}
    found = ROW.search("\n".join(message.text for message in request.messages))
    assert found is not None
    reason = "The picture is taken from in front of the sofa; measured as its observer sees it, it is there."
    return {"document": {"reason": reason, "answer": found[3], "cites": [found[1]]}}


def walk(source: Source) -> Walk:
    """Ask the question."""
    model = Scripted(play)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(cache_folder=Path(folder), model="none")
        with build_agent(Choices(model=model), settings=settings) as agent:
            answer = agent.ask(source, QUESTION)
            steps = list(read_trace(agent.trace_path(answer.trace_id)))
    return Walk(answer, steps, model.requests)


def page(run: Walk) -> str:
    """Return the page as Markdown."""
    return "\n\n".join([*_asked(run), *_read(run), *_measured(run), *_composed(run), *_answered(run)]) + "\n"


def picture(run: Walk) -> Image.Image:
    """Return the marked frame that the model is shown when it contradicts what was measured, made small."""
    shown = _pictures(run.request("reconsider"))[-1]
    height, width = shown.rgb.shape[:2]
    small = Image.fromarray(shown.rgb).resize((WIDTH_PX, round(height * WIDTH_PX / width)))
    return small.quantize(COLOURS, dither=Image.Dither.NONE)


def _asked(run: Walk) -> list[str]:
    scene = run.of("load")[0]["scene"]
    return [
        "# How it answers: one question, step by step",
        _words("""Everything in blocks and tables here was written by one run: `python -m
            tests.walkthrough.page` asks the question, and makes this page of the trace. In the place
            of a model there is a script (`play` in `tests/walkthrough/page.py`), which makes a
            mistake that models make: it takes the camera for the observer. Any run can be read like
            this, with `spatial-agent trace show`."""),
        f"> {QUESTION}",
        f"![The sofa and the armchair, marked; from the sofa to the tv an arrow](images/{PICTURE.name})",
        _words("""For whoever looks at this picture, the armchair is to the right of the sofa. For whoever
            stands at the sofa and faces the tv, which is out of the picture, it is not."""),
        "## Load",
        _words(f"""The scan is opened and measured, or found in the cache: {scene["frames"]} frames,
            {len(scene["objects"])} objects. It says of itself:"""),
        "\n".join(f"- {note}" for note in scene["notes"]),
    ]


def _read(run: Walk) -> list[str]:
    request = run.request("formalise")
    reading = run.of("formalise")[0]["reading"]
    return [
        "## Formalise",
        _words("""The model writes the question down as a task. It does not answer it. These are its rules
            (`prompts/templates/formalise.md`):"""),
        _folded("The rules", _text(request.messages[0].text)),
        _words("""And this is what it is sent. What comes from the user or the scene stands between `<data>`
            and `</data>` or in quotes:"""),
        _text(request.messages[-1].text),
        "It writes:",
        _json(run.reply("formalise")),
        _words(f"""The grammar reads the question, too; where the two disagree, both readings are measured.
            This one was read by `{reading["by"]}`. The task, without what it leaves open:"""),
        _json(json.dumps(_stated(reading["task"]), indent=2)),
    ]


def _measured(run: Walk) -> list[str]:
    verdicts = [data["verdict"] for data in run.of("verify")]
    evidence = [item for data in run.of("execute") for item in data["evidence"]]
    checks = [
        f"- {' and '.join(check['evidence'])}: "
        + ("agreed" if check["agree"] else f"not agreed, {check['why']}")
        for check in verdicts[-1]["checks"]
    ]
    wanted = ", ".join(f"`{call['id']}`" for call in verdicts[0]["wanted"])
    return [
        "## Plan, execute, verify",
        _words("""A task that a skill measures needs no model to plan it. The calls, in the order in which
            they were made; what stands behind a `$` stays where it is measured:"""),
        _table(("call", "tool", "arguments"), [_call(call) for call in run.of("call")]),
        _words(f"""`c1` is the question's own. The verifier then wanted {wanted}: the same angle from the
            other side. What came of them:"""),
        _table(("evidence", "call", "finding", "value", "90 %", "quality"), list(map(_finding, evidence))),
        "Held against each other:",
        "\n".join(checks),
        f"Evidence that counts as weak: {', '.join(verdicts[-1]['weak']) or 'none'}.",
    ]


def _composed(run: Walk) -> list[str]:
    made = run.of("compose")[0]
    shown = _pictures(run.request("answer"))
    sizes = ", ".join(f"{item.rgb.shape[1]} x {item.rgb.shape[0]}" for item in shown)
    return [
        "## Compose",
        _words(f"""What is known becomes the prompt, by what matters for this kind of task. It comes with
            {len(shown)} pictures ({sizes} pixels), the first of which is the one above. Left out for
            length: {", ".join(made["left_out"]) or "nothing"}. The whole of it:"""),
        _text(made["prompt"]),
    ]


def _answered(run: Walk) -> list[str]:
    replies = [data["usage"] for data in run.of("model_reply")]
    tokens = sum(usage["input_tokens"] + usage["output_tokens"] for usage in replies)
    return [
        "## Answer",
        "The model reads that prompt under these rules (`prompts/templates/answer.md`):",
        _text(run.request("answer").messages[0].text),
        "It goes by the picture, and writes:",
        _json(run.reply("answer")),
        "That contradicts strong evidence, so it is put to the model once more, with the picture above:",
        _text(run.request("reconsider").messages[-1].text),
        "Now it writes:",
        _json(run.reply("reconsider")),
        _words("""Had it insisted, the measurement would have been the answer all the same, decided by
            `evidence`, with the model's view in `reason`. So this is answered:"""),
        _json(json.dumps(_kept(run.answer), indent=2, ensure_ascii=False)),
        f"The model was asked {len(replies)} times, for about {tokens} tokens.",
    ]


def _kept(answer: Answer) -> Mapping[str, Any]:
    """Return what of an answer is not shown elsewhere on the page, and is the same in every run."""
    names = ("text", "value", "choice", "abstained", "reason", "definition", "decided_by")
    ids = " ".join(str(item["id"]) for item in answer.evidence)
    return {name: getattr(answer, name) for name in names} | {"evidence": ids}


def _stated(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a document without what it leaves open."""
    if isinstance(value, Mapping):
        return {name: _stated(inner) for name, inner in value.items() if inner not in (None, [], False)}
    return [_stated(item) for item in value] if isinstance(value, list) else value


def _call(call: Mapping[str, Any]) -> tuple[str, ...]:
    given = {name: value for name, value in call["arguments"].items() if value not in (None, False)}
    return f"`{call['id']}`", f"`{call['tool']}`", f"`{json.dumps(given)}`"


def _finding(item: Mapping[str, Any]) -> tuple[str, ...]:
    is_number = isinstance(item["value"], float)
    value = f"{item['value']:.1f} {item['unit']}" if is_number else str(item["value"])
    margin = f"{item['low']:.1f} to {item['high']:.1f} {item['unit']}" if is_number else ""
    if not margin and "margin_deg" in item["details"]:
        margin = f"{item['details']['degrees']:.1f} ± {item['details']['margin_deg']:.1f} deg"
    return item["id"], f"`{item['call_id']}`", item["claim"], value, margin, item["quality"]


def _pictures(request: ChatRequest) -> list[Picture]:
    return [shown for message in request.messages for shown in message.pictures]


def _words(text: str) -> str:
    """Return a paragraph, wrapped."""
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def _text(text: str) -> str:
    assert "```" not in text, "a block within a block"
    return f"```text\n{text.rstrip()}\n```"


def _json(document: str) -> str:
    return f"```json\n{document}\n```"


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return how much two pictures differ, 0 to 255, in the mean of their pixels; all where sizes differ."""
    if one.size != other.size:
        return 255.0
    a, b = (np.asarray(item.convert("RGB"), float) for item in (one, other))
    return float(np.abs(a - b).mean())


def main() -> None:
    """Write the page and its picture."""
    run = walk(ROOT / SCAN)
    PAGE.write_text(page(run), encoding="utf-8")
    picture(run).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
