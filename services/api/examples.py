"""What responses look like, for the OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

SCENE_ID = "sc_0123456789abcdef0123456789abcdef"
QUESTION_ID = "q_0123456789abcdef0123456789abcdef"
SESSION_ID = "se_0123456789abcdef0123456789abcdef"
UPLOAD_ID = "up_0123456789abcdef0123456789abcdef"
ASKED = "How far is the sofa from the tv?"
SAID = "The sofa is 3.01 m (± 0.08 m) from the tv, surface to surface."
MEASURED = {
    "value": 3.01,
    "unit": "m",
    "low": 2.93,
    "high": 3.09,
    "margin": 0.08,
    "definition": "distance.surface",
}
EVIDENCE = {
    "id": "e1",
    "call_id": "c1",
    "tool": "distance",
    "claim": SAID,
    **MEASURED,
    "quality": "strong",
    "why_weak": None,
    "borderline": None,
    "objects": ["sofa-1", "tv-1"],
    "details": {"how": "between observed surfaces"},
    "marks": [
        {"kind": "segment", "from_m": [-0.53, 2.75, 0.17], "to_m": [-1.69, 5.51, 0.48], "label": "3.01 m"}
    ],
}
ANSWER = {
    "format": "spatial-agent/answer@1",
    "text": SAID,
    **MEASURED,
    "choice": None,
    "abstained": False,
    "reason": None,
    "evidence": [EVIDENCE],
    "decided_by": "evidence",
    "degraded": [],
    "seconds": 0.1,
    "tokens": 0,
    "tokens_written": 0,
    "gpu_seconds": 0.0,
    "scene": None,
    "trace_id": QUESTION_ID,
}
OWN = f"/v1/questions/{QUESTION_ID}"
LINKS = {"self": OWN, "events": f"{OWN}/events", "scene": f"/v1/scenes/{SCENE_ID}"}
DONE_LINKS = {**LINKS, "trace": f"{OWN}/trace", "picture": f"{OWN}/picture.png"}
QUEUED: dict[str, Any] = {
    "id": QUESTION_ID,
    "state": "queued",
    "question": ASKED,
    "options": [],
    "scene": SCENE_ID,
    "session": None,
    "priority": 0,
    "created": 1795345840.1,
    "started": None,
    "finished": None,
    "attempts": 0,
    "answer": None,
    "problem": None,
    "links": LINKS,
}
RUNNING = {**QUEUED, "state": "running", "started": 1795345840.2, "attempts": 1}
ENDED = {**RUNNING, "finished": 1795345840.3}
DONE = {**ENDED, "state": "done", "answer": ANSWER, "links": DONE_LINKS}
CANCELLED = {**ENDED, "state": "cancelled", "links": {**LINKS, "trace": DONE_LINKS["trace"]}}
FAILED = {
    **CANCELLED,
    "state": "failed",
    "question": "Is the plant to the left of the tv?",
    "problem": {
        "type": "urn:spatial-agent:problem:viewpoint",
        "title": "A direction needs a viewpoint",
        "status": 422,
        "detail": "a direction needs a viewpoint: say 'standing at the A, facing the B, ...'",
        "instance": "18060a8d56e1b787",
    },
}
FILES = f"/v1/scenes/{SCENE_ID}/artifacts"
FRAMES = {"frames/{n}.jpg": f"{FILES}/frames/{{n}}.jpg"}
RECEIVED: dict[str, Any] = {
    "id": SCENE_ID,
    "name": "living_room",
    "state": "queued",
    "profile": "recorded",
    "created": 1795345826.2,
    "bytes": 2277606,
    "kind": "spatial-agent/scan@1",
    "frames": 24,
    "scale": None,
    "up": None,
    "notes": ["Opened as spatial-agent/scan@1: 24 frames."],
    "objects": [],
    "cameras": [],
    "room": None,
    "artifacts": FRAMES,
    "problem": None,
}
LISTED = {
    **RECEIVED,
    "state": "ready",
    "scale": "metric",
    "up": True,
    "artifacts": {name: f"{FILES}/{name}" for name in ("scene.json", "map.png", "cloud.ply", "scene.glb")}
    | FRAMES,
}
READY = {
    **LISTED,
    "objects": [
        {
            "id": "dining table-1",
            "label": "dining table",
            "centre_m": [1.1, 4.42, 0.37],
            "size_m": [1.62, 0.91, 0.75],
            "rotation": [[-0.39, -0.92, 0.0], [0.92, -0.39, 0.0], [0.0, 0.0, 1.0]],
            "quality": 1.0,
        }
    ],
    "cameras": [
        {
            "index": 0,
            "scene_from_camera": [
                [-0.98, 0.06, -0.2, 0.1],
                [0.21, 0.37, -0.9, 5.48],
                [0.02, -0.93, -0.38, 1.54],
                [0.0, 0.0, 0.0, 1.0],
            ],
            "width_px": 640,
            "height_px": 480,
            "focal_px": [420.0, 420.0],
            "centre_px": [319.5, 239.5],
            "timestamp_s": 0.0,
        }
    ],
    "room": {
        "area_m2": 24.7,
        "area_low_m2": 23.5,
        "area_high_m2": 25.9,
        "polygon_m": [[3.2, 3.1], [1.5, 7.2], [-3.6, 5.1], [-1.8, 0.9]],
        "exact": False,
    },
}
SESSION = {"id": SESSION_ID, "scene": SCENE_ID, "created": 1795345863.5, "exchanges": []}
TALKED = {**SESSION, "exchanges": [{"question": ASKED, "answer": SAID, "objects": ["sofa-1", "tv-1"]}]}
TOOL = {
    "name": "size",
    "kind": "skill",
    "description": "Measure an edge of an object's box.",
    "parameters": {
        "type": "object",
        "required": ["scene", "of"],
        "properties": {
            "scene": {"type": "string", "pattern": "^\\$scene$"},
            "of": {"type": "string", "description": 'The object, such as "sofa".'},
            "dimension": {"enum": ["longest", "height", "width", "depth", "length"], "default": "longest"},
        },
    },
    "available": True,
    "needs": [],
}
CALLED = {
    "tool": "distance",
    "text": f"c1.1: {SAID}",
    "value": 3.01,
    "evidence": [EVIDENCE],
    "pictures": [],
    "seconds": 0.02,
}
UPLOADING = {"id": UPLOAD_ID, "length": 734003200, "offset": 0, "name": "kitchen.zip"}
ALIVE = {"status": "ok", "version": "0.1.0", "queued": 0, "running": 0, "experts": {}}
DEGRADED = {
    **ALIVE,
    "status": "degraded",
    "experts": {"recorded": "ready", "instances.yolo": "left alone for now, as it kept failing"},
}
MODEL = {
    "id": "spatial-agent/recorded",
    "object": "model",
    "created": 1795345896,
    "owned_by": "spatial-agent",
}
COMPLETION = {
    "id": f"chatcmpl-{QUESTION_ID}",
    "object": "chat.completion",
    "created": 1795346723,
    "model": "spatial-agent/recorded",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": SAID, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "system_fingerprint": None,
    "spatial": ANSWER,
    "spatial_links": DONE_LINKS,
}
#: One event of each kind that a stream holds; it ends with `answer`, or `failed` or `cancelled` in its place.
STEPS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("started", {"run": QUESTION_ID}),
    ("stage", {"stage": "plan", "facts": {"calls": [], "said": "", "stopped": None}}),
    (
        "tool_call",
        {"call_id": "c1", "tool": "distance", "arguments": {"scene": "$scene", "a": "sofa", "b": "tv"}},
    ),
    ("evidence", {"call_id": "c1", "tool": "distance", "claims": [SAID], "error": None, "seconds": 0.02}),
    ("token", {"text": "The sofa is "}),
    ("answer", ANSWER),
)
EVENTS = "".join(
    f"event: {kind}\ndata: {json.dumps(data)}\nid: 1.{number}\n\n"
    for number, (kind, data) in enumerate(STEPS, 1)
)
PIECE = {
    **{name: COMPLETION[name] for name in ("id", "created", "model")},
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {"content": SAID}}],
}
PIECES = f"data: {json.dumps(PIECE)}\n\ndata: [DONE]\n\n"
STEP = {"format": "spatial-agent/trace@1", "run": QUESTION_ID, "number": 3, "seconds": 0.01, "kind": "plan"}
TRACE = json.dumps({**STEP, "data": STEPS[1][1]["facts"]}) + "\n"
NUMBERS = 'spatial_agent_jobs_in_state{state="queued"} 0.0\n'

#: Examples of what a route answers with, by operation and status, each with what it shows.
RESPONSES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("health_healthz", "200"): {"It lives": ALIVE},
    ("health_readyz", "200"): {
        "All is there": {**ALIVE, "experts": {"recorded": "ready"}},
        "An expert is left alone": DEGRADED,
    },
    ("health_readyz", "503"): {"It ends": {**ALIVE, "status": "draining"}},
    ("health_metrics", "200"): {"Numbers for Prometheus": NUMBERS},
    ("scenes_upload", "202"): {"Received": RECEIVED},
    ("scenes_scenes", "200"): {"One scene": {"scenes": [LISTED], "samples": ["living_room"]}},
    ("scenes_scene", "200"): {"Measured": READY, "Still waiting": RECEIVED},
    ("uploads_begin", "201"): {"Begun": UPLOADING},
    ("uploads_upload", "200"): {"Half of it is here": {**UPLOADING, "offset": 367001600}},
    ("questions_ask", "202"): {"Taken": QUEUED},
    ("questions_ask", "200"): {"Waited for": DONE},
    ("questions_questions", "200"): {"One question": {"questions": [DONE], "next": None}},
    ("questions_question", "200"): {"Answered": DONE, "Running": RUNNING, "Failed": FAILED},
    ("questions_cancel", "200"): {"Cancelled": CANCELLED},
    ("questions_cancel", "202"): {"Will be": RUNNING},
    ("questions_events", "200"): {"One event of each kind": EVENTS},
    ("questions_trace", "200"): {"One step": TRACE},
    ("sessions_sessions", "200"): {"One dialogue": {"sessions": [TALKED]}},
    ("sessions_begin", "201"): {"Begun": SESSION},
    ("sessions_session", "200"): {"After one question": TALKED},
    ("tools_tools", "200"): {"One of many": {"tools": [TOOL]}},
    ("tools_tool", "200"): {"A skill": TOOL},
    ("tools_call", "200"): {"A distance": CALLED},
    ("chat_models", "200"): {"One profile": {"object": "list", "data": [MODEL]}},
    ("chat_model", "200"): {"A profile": MODEL},
    ("chat_complete", "200"): {"An answer": COMPLETION, "In pieces": PIECES},
}


def add_examples(document: dict[str, Any]) -> None:
    """Add the examples of responses to an OpenAPI document.

    What is text goes to the media types that are no JSON, everything else to JSON.
    """
    for operation in _operations(document):
        for status, response in operation["responses"].items():
            shown = RESPONSES.get((operation["operationId"], status), {})
            for media_type, content in response.get("content", {}).items():
                _add(content, shown, is_json=media_type == "application/json")


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from (operation for operation in path.values() if isinstance(operation, dict))


def _add(content: dict[str, Any], shown: Mapping[str, Any], *, is_json: bool) -> None:
    for summary, value in shown.items():
        if isinstance(value, str) is not is_json:
            name = summary.lower().replace(" ", "-")
            content.setdefault("examples", {})[name] = {"summary": summary, "value": value}
