"""The scenes that chat completions are about: uploaded ones, or the pictures that came along."""

import asyncio
import hashlib
from collections.abc import Sequence

from spatial_agent.services.api.auth import check_left
from spatial_agent.services.api.caller import Caller
from spatial_agent.services.api.chat_pictures import SentPicture, check_decodes, digest_of
from spatial_agent.services.api.problems import NotFoundError
from spatial_agent.services.api.service import Service
from spatial_agent.services.store.records import SceneRecord

#: Letters of an id behind its prefix: 128 bits, as many as other ids have.
ID_LETTERS = 32
NAME = "pictures of a chat"


class NoSuchSceneError(NotFoundError):
    """The scene that is named is not there.

    Attributes:
        param: The field that names it.
        code: A word for it.
    """

    param = "spatial.scene"
    code = "scene_not_found"


async def uploaded_scene(service: Service, caller: Caller, scene_id: str) -> SceneRecord:
    """Return a caller's scene.

    Raises:
        NoSuchSceneError: If it is not there, or not theirs.
    """
    record = await asyncio.to_thread(service.store.scenes.scene, caller.tenant, scene_id)
    if record is None:
        raise NoSuchSceneError(f"there is no scene {scene_id}")
    return record


async def scene_of_pictures(
    service: Service, caller: Caller, pictures: Sequence[SentPicture], profile: str
) -> SceneRecord:
    """Return the scene that pictures are kept as for a while; the same pictures are the same scene.

    Who may ask may send pictures along: they count against what the tenant may store, and go by themselves.

    Raises:
        ChatRequestError: If a picture is damaged.
        QuotaError: If the caller may ask nothing more today.
        SourceError: If there is no room for them.
    """
    scene_id = scene_id_of(caller.tenant, pictures)
    record = await asyncio.to_thread(service.store.scenes.scene, caller.tenant, scene_id)
    if record is not None:
        return record
    await check_left(service, caller)
    await asyncio.to_thread(check_decodes, pictures)
    names = [f"{number:05d}{picture.suffix}" for number, picture in enumerate(pictures)]
    files = [(name, picture.content) for name, picture in zip(names, pictures, strict=True)]
    allowance = caller.allowance
    return await service.scenes.from_pictures(
        caller.tenant,
        scene_id,
        files,
        name=NAME,
        profile=profile,
        most_bytes=None if allowance is None else allowance.stored_bytes,
    )


def scene_id_of(tenant: str, pictures: Sequence[SentPicture]) -> str:
    """Return the id of the scene of a tenant's pictures, which nobody guesses who has not got them all."""
    digest = hashlib.sha256(f"{tenant}\n{digest_of(pictures)}".encode()).hexdigest()
    return f"sc_{digest[:ID_LETTERS]}"
