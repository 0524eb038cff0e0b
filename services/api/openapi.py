"""What the OpenAPI document says beyond what FastAPI finds out itself: problems and keys."""

from typing import TYPE_CHECKING, Any

from spatial_agent.services.api.examples import add_examples
from spatial_agent.services.api.problems import KINDS, MEDIA_TYPE, PREFIX
from spatial_agent.services.api.schemas import Problem

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.routing import APIRoute

_WORDS = {
    400: "The request cannot be read.",
    401: "A key is needed, or it is not valid.",
    403: "The key, or the origin of the page that asks, is not allowed this.",
    404: "There is no such thing, or it belongs to another tenant.",
    405: "There is no such method here.",
    408: "The body did not come.",
    409: "Its state does not allow this.",
    413: "More than is allowed.",
    415: "The body is of a kind that is not taken.",
    421: "Meant for another host.",
    422: "It asks for what cannot be.",
    429: "Too fast, or a quota is used up; see Retry-After.",
    431: "The headers are too large.",
    500: "The service failed.",
    502: "A part of the service failed.",
    503: "The service takes no work now; see Retry-After.",
    504: "A part of the service took too long.",
    507: "There is no room left.",
}


def problem_response(status: int) -> dict[str, Any]:
    """Return what OpenAPI says of responses with a problem of a status."""
    examples = {
        kind.name: {"value": {"type": kind.type, "title": kind.title, "status": status, "detail": "..."}}
        for kind in KINDS.values()
        if kind.status == status
    }
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if examples:
        content["examples"] = examples
    return {"description": _WORDS[status], "content": {MEDIA_TYPE: content}}


#: The problems that any route may answer with; given to every router that `api_router` makes.
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {status: problem_response(status) for status in _WORDS}


def operation_id(route: "APIRoute") -> str:
    """Return what generated clients call a route, such as ``questions_ask``."""
    return f"{route.tags[0] if route.tags else 'other'}_{route.name}"


def describe(app: "FastAPI", *, needs_keys: bool) -> dict[str, Any]:
    """Return the OpenAPI document of an app, made once."""
    if app.openapi_schema is None:
        from fastapi.openapi.utils import get_openapi

        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        add_examples(document)
        if not needs_keys:
            _make_keys_optional(document)
        app.openapi_schema = document
    return app.openapi_schema


def _make_keys_optional(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "security" in operation:
                operation["security"].append({})


def problem_types() -> list[str]:
    """Return every ``type`` that a problem of this service may have, sorted."""
    return sorted({PREFIX + kind.name for kind in KINDS.values()} | {PREFIX + "internal", "about:blank"})
