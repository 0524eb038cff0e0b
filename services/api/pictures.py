"""Pictures of answers, drawn when first asked for."""

import asyncio
from pathlib import Path

from spatial_agent.agent.answer import Answer
from spatial_agent.services.api.problems import NotFoundError
from spatial_agent.services.api.service import Service
from spatial_agent.services.scene_files.artifacts import keep_only_with_files
from spatial_agent.services.store.records import Job, SceneRecord

FOLDER = "answers"


async def answer_picture_file(service: Service, job: Job) -> Path:
    """Return the picture of a job's answer, drawing it where that has not been done.

    Args:
        service: The service.
        job: A question that is done.

    Raises:
        NotFoundError: If its scene was deleted.
    """
    record = await asyncio.to_thread(service.store.scenes.scene, job.new.tenant, job.new.scene)
    if record is None:
        raise NotFoundError(f"the scene of question {job.id} was deleted")
    return await asyncio.to_thread(_drawn, service, job, record)


def _drawn(service: Service, job: Job, record: SceneRecord) -> Path:
    path = service.scenes.artifacts_folder(record) / FOLDER / f"{job.id}.png"
    if not path.is_file():
        from spatial_agent.services.pictures import write_answer_picture

        profile = job.new.request.get("profile")
        agent = service.agents.get(str(profile) if profile else record.profile)
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = Answer.from_json(job.answer or {})
        write_answer_picture(agent.scene(service.scenes.source(record)), answer, path)
        if not keep_only_with_files(service.scenes.artifacts_folder(record)):
            raise NotFoundError(f"the scene of question {job.id} was deleted")
    return path
