"""Records of the store as documents on the wire."""

from collections.abc import Mapping

from spatial_agent.services.api.schemas import Problem, QuestionView, SessionView
from spatial_agent.services.store.records import FINAL, Job, SessionRecord
from spatial_agent.tools.contract import Json


def question_view(job: Job) -> QuestionView:
    """Return what callers see of a question."""
    asked = job.new.request
    return QuestionView.model_validate(
        {
            "id": job.id,
            "state": job.state,
            "question": asked["question"],
            "options": asked.get("options") or [],
            "scene": job.new.scene,
            "session": job.new.session,
            "priority": job.new.priority,
            "created": job.created,
            "started": job.started,
            "finished": job.finished,
            "attempts": job.attempts,
            "answer": job.answer,
            "problem": None if job.problem is None else _problem(job, job.problem),
            "links": _links(job),
        }
    )


def session_view(record: SessionRecord) -> SessionView:
    """Return what callers see of a dialogue."""
    return SessionView(
        id=record.id,
        scene=record.scene,
        created=record.created,
        exchanges=[dict(exchange) for exchange in record.exchanges],
    )


def _problem(job: Job, told: Mapping[str, Json]) -> Problem:
    # The log knows the job by the request that handed it in.
    return Problem.model_validate({**told, "instance": job.new.request_id or ""})


def _links(job: Job) -> dict[str, str]:
    own = f"/v1/questions/{job.id}"
    links = {"self": own, "events": f"{own}/events", "scene": f"/v1/scenes/{job.new.scene}"}
    if job.state in FINAL and job.attempts > 0:
        links["trace"] = f"{own}/trace"
    if job.state == "done":
        links["picture"] = f"{own}/picture.png"
    return links
