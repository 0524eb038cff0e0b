"""Resumable uploads: the tus protocol 1.0.0, with creation, termination and expiration.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Coroutine
from email.utils import formatdate
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Request, Response

from spatial_agent.services.api.caller import Caller
from spatial_agent.services.api.dependencies import TheService, Uploads, api_router
from spatial_agent.services.api.problems import (
    BadRequestError,
    MediaTypeError,
)
from spatial_agent.services.api.schemas import Id, UploadView
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.submitting import check_working
from spatial_agent.services.api.upload_route import UploadRoute
from spatial_agent.services.store.records import UploadRecord

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
PIECE = "application/offset+octet-stream"
#: Longest length or offset that is a number of bytes at all.
MOST = 2**53
#: Names, each with a value in base64 or without one.
METADATA = r"^(?:[^\s,]+(?: [A-Za-z0-9+/]*={0,2})?(?:, ?|$))*$"


class TusRoute(UploadRoute):
    """A route whose every response says which protocol it speaks, refusals too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, with that."""
        handle = super().get_route_handler()

        async def speaking_tus(request: Request) -> Response:
            response = await handle(request)
            response.headers["Tus-Resumable"] = VERSION
            return response

        return speaking_tus


router = api_router("uploads")
router.route_class = TusRoute


async def _speaks_tus(
    tus_resumable: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> None:
    if tus_resumable != VERSION:
        raise HTTPException(
            412, f"expected the header Tus-Resumable: {VERSION}", headers={"Tus-Version": VERSION}
        )


def _tus(**extra: Any) -> dict[str, Any]:  # noqa: ANN401 - of OpenAPI
    """Return what routes of the protocol have in common; `extra` is added to what OpenAPI says of one."""
    version = {
        "name": "Tus-Resumable",
        "in": "header",
        "required": True,
        "description": "The version of the protocol.",
        "schema": {"type": "string", "const": VERSION},
    }
    return {
        "dependencies": [Depends(_speaks_tus)],
        "responses": {412: {"description": "Another version of tus; see Tus-Version."}},
        "openapi_extra": {"parameters": [version], **extra},
    }


LINKS: dict[str, Any] = {
    name: {"operationId": f"uploads_{name}", "parameters": {"upload_id": "$response.body#/id"}}
    for name in ("upload", "state", "append", "end")
}


async def _upload(upload_id: Id, service: TheService, caller: Uploads) -> UploadRecord:
    return await asyncio.to_thread(service.scenes.uploads.upload, caller.tenant, upload_id)


TheUpload = Annotated[UploadRecord, Depends(_upload)]


@router.options("/v1/uploads", status_code=204, response_description="See the headers.")
async def options(response: Response, service: TheService) -> None:
    """Say what of tus is spoken here."""
    response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = EXTENSIONS
    response.headers["Tus-Max-Size"] = str(service.config.limits.upload_bytes)


@router.post(
    "/v1/uploads",
    status_code=201,
    response_description="It has begun; see Location.",
    **_tus(responses={"201": {"links": LINKS}}),
)
async def begin(
    response: Response,
    service: TheService,
    caller: Uploads,
    upload_length: Annotated[int, Header(ge=1, le=MOST, description="Bytes in all.")],
    upload_metadata: Annotated[
        str,
        Header(
            max_length=4096,
            pattern=METADATA,
            description="`filename` with the file's name in base64.",
            examples=["filename c2Nhbi56aXA="],
        ),
    ] = "",
) -> UploadView:
    """Begin a resumable upload of one file: an archive, a video, a picture or a scene file.

    Its pieces are sent to Location; once it is finished, `POST /v1/scenes` makes a scene of it.
    """
    check_working(service)
    name = _metadata(upload_metadata).get("filename", "upload")
    record = await asyncio.to_thread(_begun, service, caller, name, upload_length)
    response.headers["Location"] = f"/v1/uploads/{record.id}"
    _say_state(response, service, record)
    return _view(record)


@router.get("/v1/uploads/{upload_id}", response_description="How far it is.")
async def upload(record: TheUpload, response: Response, service: TheService) -> UploadView:
    """Return how far a resumable upload is."""
    _say_state(response, service, record)
    return _view(record)


@router.head("/v1/uploads/{upload_id}", response_description="See Upload-Offset.", **_tus())
async def state(record: TheUpload, response: Response, service: TheService) -> None:
    """Say how far a resumable upload is, in headers."""
    _say_state(response, service, record)


@router.patch(
    "/v1/uploads/{upload_id}",
    status_code=204,
    response_description="It was appended; see Upload-Offset.",
    **_tus(
        requestBody={
            "required": True,
            "content": {PIECE: {"schema": {"type": "string", "format": "binary"}}},
        }
    ),
)
async def append(
    record: TheUpload,
    request: Request,
    response: Response,
    service: TheService,
    caller: Uploads,
    upload_offset: Annotated[int, Header(ge=0, le=MOST, description="Where the piece begins, bytes.")],
) -> None:
    """Append a piece; what has come when the connection breaks is kept."""
    media_type = request.headers.get("content-type", "")
    if media_type != PIECE:
        raise MediaTypeError(f"expected a piece as {PIECE}, got {media_type[:80] or 'none'}")
    appended = await service.scenes.uploads.append(caller.tenant, record.id, upload_offset, _chunks(request))
    _say_state(response, service, appended)


@router.delete("/v1/uploads/{upload_id}", status_code=204, response_description="It is gone.", **_tus())
async def end(record: TheUpload, service: TheService, caller: Uploads) -> None:
    """Give up a resumable upload; what has come of it is removed."""
    await asyncio.to_thread(_remove, service, caller, record)


def _remove(service: Service, caller: Caller, record: UploadRecord) -> None:
    with service.scenes.uploads.holding(caller.tenant, record.id):
        service.scenes.uploads.remove(caller.tenant, record.id)


def _begun(service: Service, caller: Caller, name: str, length: int) -> UploadRecord:
    uploads = service.scenes.uploads
    with uploads.beginning:
        return uploads.begin(caller.tenant, name, length, _left_bytes(service, caller))


def _left_bytes(service: Service, caller: Caller) -> int | None:
    if caller.allowance is None:
        return None
    return service.scenes.left_bytes(caller.tenant, caller.allowance.stored_bytes)


def _metadata(header: str) -> dict[str, str]:
    """Return what Upload-Metadata says: names, each with a value in base64.

    Raises:
        BadRequestError: If it cannot be read.
    """
    said = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            said[name] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            raise BadRequestError(
                "Upload-Metadata: expected names with values in base64 of UTF-8, such as "
                "'filename c2Nhbi56aXA='"
            ) from None
    return said


def _say_state(response: Response, service: Service, record: UploadRecord) -> None:
    response.headers["Upload-Offset"] = str(record.offset)
    response.headers["Upload-Length"] = str(record.length)
    response.headers["Upload-Expires"] = formatdate(service.scenes.uploads.expires(record), usegmt=True)
    response.headers["Cache-Control"] = "no-store"


def _view(record: UploadRecord) -> UploadView:
    return UploadView(id=record.id, length=record.length, offset=record.offset, name=record.name)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
