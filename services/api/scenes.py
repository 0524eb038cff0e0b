"""Scenes: uploaded, listed, looked at, deleted."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.responses import FileResponse
from pydantic import ValidationError

from spatial_agent.services.api.caller import Caller
from spatial_agent.services.api.dependencies import Reads, TheService, Uploads, api_router, idempotency_header
from spatial_agent.services.api.problems import (
    BadRequestError,
    InvalidRequestError,
    MediaTypeError,
    NotFoundError,
    TooLargeError,
)
from spatial_agent.services.api.schemas import Id, SceneList, SceneReference, SceneView
from spatial_agent.services.api.sent_files import SentFile
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.strict_json import strict_json
from spatial_agent.services.api.submitting import check_working, submit
from spatial_agent.services.api.upload_form import MEDIA_TYPE as FORM
from spatial_agent.services.api.upload_form import UploadForm
from spatial_agent.services.api.upload_route import UploadRoute
from spatial_agent.services.scene_files.artifacts import NoSuchArtifactError
from spatial_agent.services.scene_files.measuring import measuring_job, measuring_key
from spatial_agent.services.scene_files.samples import sample_names
from spatial_agent.services.scene_files.scene_view import read_scene_json, scene_view
from spatial_agent.services.store.records import FINAL, SceneRecord

router = api_router("scenes")
router.route_class = UploadRoute

JSON = "application/json"
#: Bytes of a reference to a sample or an upload.
MOST_REFERENCE_BYTES = 64 * 1024
MOST_NAME = 120
#: Frames that are made at a time: one may take seconds, and a thread.
MOST_FRAMES_MADE = 4
BODIES: dict[str, Any] = {
    "required": True,
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "required": ["files"],
                "properties": {
                    "files": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "format": "binary"},
                        "description": "One archive (.zip, .tar, .tar.gz), video, picture or scene file; "
                        "or all files of a scan, with relative names such as depth/0001.png.",
                    },
                    "name": {"type": "string", "maxLength": MOST_NAME, "description": "What to call it."},
                    "profile": {"type": "string", "description": "Which experts measure it."},
                },
            },
            "encoding": {"files": {"contentType": "application/octet-stream"}},
        },
        JSON: {
            "schema": SceneReference.model_json_schema(),
            "examples": {
                "sample": {"summary": "The sample scan", "value": {"sample": "living_room"}},
                "upload": {
                    "summary": "A finished resumable upload",
                    "value": {"upload": "up_0123456789abcdef0123456789abcdef", "name": "My kitchen"},
                },
            },
        },
    },
}
LINKS: dict[str, Any] = {
    name: {"operationId": f"scenes_{name}", "parameters": {"scene_id": "$response.body#/id"}}
    for name in ("scene", "delete", "artifact")
}
IdempotencyKey = Annotated[
    str | None,
    idempotency_header(
        "The same key gives the same scene: a request that is sent again makes no second one."
    ),
]


async def _scene(scene_id: Id, service: TheService, caller: Reads) -> SceneRecord:
    record = await asyncio.to_thread(service.store.scenes.scene, caller.tenant, scene_id)
    if record is None:
        raise NotFoundError(f"there is no scene {scene_id}")
    return await _as_it_is(service, record)


TheScene = Annotated[SceneRecord, Depends(_scene)]


@router.post(
    "/v1/scenes",
    status_code=202,
    response_description="It was received and is being measured; see Location.",
    responses={202: {"links": LINKS}},
    openapi_extra={"requestBody": BODIES},
)
async def upload(
    request: Request,
    response: Response,
    service: TheService,
    caller: Uploads,
    idempotency_key: IdempotencyKey = None,
) -> SceneView:
    """Make a scene of files, of a finished resumable upload, or of a sample.

    All files are kept or none; formats are told by content. What nothing here opens (hidden files, meshes,
    documents) is left out and counted in the notes.
    """
    check_working(service)
    scene_id = _id_of(caller, idempotency_key)
    known = None
    if scene_id is not None:
        known = await asyncio.to_thread(service.store.scenes.scene, caller.tenant, scene_id)
    if known is None:
        record = await _received(request, service, caller, scene_id)
    else:
        record = known
        response.headers["Idempotent-Replayed"] = "true"
    if record.job is None:
        record = await _queued(service, caller, record)
    response.headers["Location"] = f"/v1/scenes/{record.id}"
    return _listed(await _as_it_is(service, record))


@router.get("/v1/scenes", response_description="The scenes, and the names of samples.")
async def scenes(service: TheService, caller: Reads) -> SceneList:
    """List scenes, newest first, without their objects and cameras."""
    records = await asyncio.to_thread(service.store.scenes.listed, caller.tenant)
    shown = [await _as_it_is(service, record) for record in records if not record.short_lived]
    return SceneList(
        scenes=[_listed(record) for record in shown],
        samples=list(await asyncio.to_thread(sample_names)),
    )


@router.get("/v1/scenes/{scene_id}", response_description="The scene.")
async def scene(record: TheScene, service: TheService) -> SceneView:
    """Return a scene: what has become of it, and once it is measured its objects, cameras and room."""
    return await asyncio.to_thread(_whole, service, record)


@router.delete("/v1/scenes/{scene_id}", status_code=204, response_description="It is gone.")
async def delete(record: TheScene, service: TheService, caller: Uploads) -> None:
    """Delete a scene, its files and what was made of them; its questions stay, and can be asked no more."""
    if record.job is not None:
        await service.desk.cancel(caller.tenant, record.job)
    await service.scenes.remove(record)


@router.get(
    "/v1/scenes/{scene_id}/artifacts/{name:path}",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file; parts of it with `Range`.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        206: {"description": "The part of the file that `Range` asked for."},
        304: {"description": "It is still what `If-None-Match` says."},
        416: {"description": "The file has no such part."},
    },
)
async def artifact(name: str, request: Request, record: TheScene, service: TheService) -> Response:
    """Return what was made of a scene.

    `map.png` is its plan from above, `cloud.ply` its points, `scene.glb` its boxes and points, `scene.json`
    all that is known of it (spatial-agent/scene@1), `frames/0.jpg` its first picture.
    """
    try:
        async with _frames_made(request) if name.startswith("frames/") else nullcontext():
            found, media_type = await asyncio.to_thread(service.scenes.artifacts.artifact, record, name)
    except NoSuchArtifactError as error:
        raise NotFoundError(f"scene {record.id}: {error}") from None
    headers = _file_headers(record, name, media_type)
    if isinstance(found, bytes):
        return Response(found, media_type=media_type, headers=headers)
    state = await asyncio.to_thread(found.stat)
    file = SentFile(found, media_type=media_type, headers=headers, stat_result=state)
    if _is_known(request.headers.get("if-none-match", ""), file.headers["etag"]):
        return Response(status_code=304, headers=headers | {"ETag": file.headers["etag"]})
    return file


router.add_api_route(
    "/v1/scenes/{scene_id}/artifacts/{name:path}", artifact, methods=["HEAD"], include_in_schema=False
)


async def _received(request: Request, service: Service, caller: Caller, scene_id: str | None) -> SceneRecord:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == FORM:
        return await _from_form(request, service, caller, scene_id)
    if media_type == JSON:
        return await _from_reference(await _reference(request), service, caller, scene_id)
    raise MediaTypeError(f"expected a body of {FORM} or {JSON}, got {media_type[:80] or 'none'}")


async def _from_form(request: Request, service: Service, caller: Caller, scene_id: str | None) -> SceneRecord:
    form = UploadForm(request.headers["content-type"], _chunks(request))
    most_bytes = _most_bytes(caller)
    async with service.scenes.receiving(caller.tenant, most_bytes) as receiver:
        staged = await receiver.receive(form.files())
        unknown = form.fields.keys() - {"name", "profile"}
        if unknown:
            raise InvalidRequestError(
                f"expected files, and the fields name and profile, got {ascii(sorted(unknown)[0])[:60]}; "
                "files need a filename"
            )
        return await service.scenes.keep(
            caller.tenant,
            staged,
            name=form.fields.get("name"),
            profile=_profile(service, form.fields.get("profile")),
            most_bytes=most_bytes,
            scene_id=scene_id,
        )


async def _reference(request: Request) -> SceneReference:
    body = bytearray()
    async for chunk in _chunks(request):
        body += chunk
        if len(body) > MOST_REFERENCE_BYTES:
            raise TooLargeError(f"expected at most {MOST_REFERENCE_BYTES} bytes of JSON, got more")
    try:
        return SceneReference.model_validate(strict_json(bytes(body)))
    except ValidationError as error:
        told = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:8])
        raise InvalidRequestError("; ".join(told)[:2000]) from None
    except ValueError as error:
        raise BadRequestError(f"expected JSON: {error}") from None


async def _from_reference(
    asked: SceneReference, service: Service, caller: Caller, scene_id: str | None
) -> SceneRecord:
    if (asked.sample is None) == (asked.upload is None):
        raise InvalidRequestError("expected either the name of a sample or the id of an upload")
    chosen: dict[str, Any] = {
        "profile": _profile(service, asked.profile),
        "most_bytes": _most_bytes(caller),
        "scene_id": scene_id,
    }
    if asked.sample is not None:
        return await service.scenes.from_sample(caller.tenant, asked.sample, asked.name, **chosen)
    return await service.scenes.from_upload(caller.tenant, str(asked.upload), asked.name, **chosen)


async def _queued(service: Service, caller: Caller, record: SceneRecord) -> SceneRecord:
    """Hand a scene in to be measured; where that is refused the scene goes again."""
    new = measuring_job(record, key=caller.key_id, request_id=caller.request_id)
    try:
        job, _ = await submit(
            service, caller, new, idempotency_key=measuring_key(record), fingerprint=record.id
        )
    except BaseException:
        await asyncio.shield(service.scenes.remove(record))
        raise
    changed = await asyncio.to_thread(
        lambda: service.store.scenes.update(record.tenant, record.id, job=job.id)
    )
    return changed or record


async def _as_it_is(service: Service, record: SceneRecord) -> SceneRecord:
    """Return a scene with what is known of the job that measures it, which may have ended without a word."""
    if record.job is None or record.state in ("ready", "failed"):
        return record
    job = await asyncio.to_thread(service.store.jobs.job, record.tenant, record.job)
    if job is None or job.state not in FINAL or job.state == "done":
        return record
    return replace(record, state="failed", problem=job.problem)


def _whole(service: Service, record: SceneRecord) -> SceneView:
    folder = service.scenes.artifacts_folder(record)
    content = read_scene_json(folder / "scene.json") if record.state == "ready" else None
    names = service.scenes.artifacts.names(record) if record.state == "ready" else []
    return scene_view(record, content, _links(record, names))


def _listed(record: SceneRecord) -> SceneView:
    made = record.facts.get("artifacts")
    names = [str(name) for name in made] if isinstance(made, list) and record.state == "ready" else []
    return scene_view(record, None, _links(record, names))


def _links(record: SceneRecord, names: list[str]) -> dict[str, str]:
    own = f"/v1/scenes/{record.id}/artifacts"
    frames = ["frames/{n}.jpg"] if record.facts.get("frames") else []
    return {name: f"{own}/{name}" for name in [*names, *frames]}


def _frames_made(request: Request) -> asyncio.Semaphore:
    """Return the turns of the app for making frames, which begin with its first one."""
    state = request.app.state
    if not hasattr(state, "frames_made"):
        state.frames_made = asyncio.Semaphore(MOST_FRAMES_MADE)
    turns: asyncio.Semaphore = state.frames_made
    return turns


def _file_headers(record: SceneRecord, name: str, media_type: str) -> dict[str, str]:
    is_shown = media_type.startswith("image/") or media_type == JSON
    file_name = f"{record.id}-{Path(name).name}"
    return {
        "Content-Disposition": f'{"inline" if is_shown else "attachment"}; filename="{file_name}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=86400" if name.startswith("frames/") else "private, no-cache",
    }


def _is_known(if_none_match: str, etag: str) -> bool:
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or etag in known


def _profile(service: Service, wanted: str | None) -> str:
    if wanted is not None and wanted not in service.agents.profiles:
        offered = ", ".join(service.agents.profiles)
        raise InvalidRequestError(f"unknown profile {ascii(wanted)[:60]}; this service offers {offered}")
    return wanted or service.agents.default


def _most_bytes(caller: Caller) -> int | None:
    return None if caller.allowance is None else caller.allowance.stored_bytes


def _id_of(caller: Caller, idempotency_key: str | None) -> str | None:
    """Return the id of the scene that an idempotency key of a tenant stands for."""
    if idempotency_key is None:
        return None
    digest = hashlib.sha256(f"scene\n{caller.tenant}\n{idempotency_key}".encode()).hexdigest()
    return f"sc_{digest[:32]}"


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
