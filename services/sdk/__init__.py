"""The typed client of the REST API.

::

    from spatial_agent.services.sdk import Client

    with Client("https://HOST", key="sa_...") as client:
        scene = client.scenes.upload("my_scan")
        client.scenes.wait_until_ready(scene)
        print(client.ask(scene, "How wide is the sofa?").text)
"""

if __name__ != "spatial_agent.services.sdk":
    raise ImportError(f"import spatial_agent.services.sdk, not {__name__}")

from spatial_agent.services.api.schemas import SceneView as Scene
from spatial_agent.services.api.schemas import ToolView as Tool
from spatial_agent.services.sdk.async_client import AsyncClient, AsyncScenes, AsyncSession
from spatial_agent.services.sdk.client import Client, Scenes, Session
from spatial_agent.services.sdk.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    ProtocolError,
    QuotaError,
    ServiceError,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)
from spatial_agent.services.sdk.given import Asked
from spatial_agent.services.sdk.pacing import Clock, Retries
from spatial_agent.services.sdk.values import CallResult, Question

__all__ = [
    "ApiError",
    "Asked",
    "AsyncClient",
    "AsyncScenes",
    "AsyncSession",
    "AuthenticationError",
    "CallResult",
    "Client",
    "Clock",
    "ConflictError",
    "NotFoundError",
    "ProtocolError",
    "Question",
    "QuotaError",
    "Retries",
    "Scene",
    "Scenes",
    "ServiceError",
    "Session",
    "Tool",
    "UnavailableError",
    "UnreachableError",
    "WaitTimeoutError",
]
