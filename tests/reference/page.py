"""The reference: ``python -m tests.reference.page`` writes it from the code.

What a field, a setting, a route or an option is for stands where it is declared; nothing is said here twice.
"""

import inspect
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import typer
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spatial_agent.services.api import chat, health, questions, scenes, sessions, tools, uploads
from spatial_agent.services.api.app import create_app
from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.problems import INTERNAL, KINDS, PREFIX
from spatial_agent.services.cli import app as command_line
from spatial_agent.services.open_service import open_service
from spatial_agent.services.settings import Settings
from tests.reference.acting import WHO

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference.md"
ROUTERS = (health.open_router, *(part.router for part in (health, scenes, uploads, questions, sessions)))
ROUTERS += (tools.router, chat.router)
#: A setting in the docstring of `Settings`: its name, what it is, with its variable somewhere in it.
SETTING = re.compile(r"^    (\w+): (.+?)(?=^    \w+: |\Z)", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r" ?\(``([A-Z_]+)``(?:, ([^)]*))?\)")


def page() -> str:
    """Return the page as Markdown."""
    parts = [
        "# Reference",
        "Everything here was written from the code by `python -m tests.reference.page`; a test fails where "
        "it is not current. How things are used: [the REST API](api.md), [operating it](operate.md), "
        "[the SDK](sdk.md).",
        *_settings(),
        *_configuration(),
        *_serve_arguments(),
        *_problems(),
        *_routes(),
        *_commands(),
    ]
    return "\n\n".join(parts) + "\n"


def variables() -> dict[str, str]:
    """Return what the environment variables are for, by name, as the docstring of `Settings` says it."""
    found = {}
    attributes = (inspect.getdoc(Settings) or "").partition("Attributes:\n")[2]
    for _, text in SETTING.findall(attributes):
        words = " ".join(text.split())
        (match,) = VARIABLE.finditer(words)
        # What stands beside the name in brackets belongs to what it is for.
        beside = f" ({match[2]})" if match[2] else ""
        found[match[1]] = _code(words[: match.start()] + beside + words[match.end() :])
    return found


def _settings() -> list[str]:
    rows = [(f"`{name}`", text) for name, text in sorted(variables().items())]
    intro = "Environment variables; they are read by `services/settings.py` and by nothing else."
    return ["## Settings", intro, _table(("variable", "what it is"), rows)]


def _configuration() -> list[str]:
    intro = (
        "The file of `spatial-agent serve --config FILE` (TOML). A field `part.name` stands in the table "
        "`[part]`. Unknown fields are refused."
    )
    table = _table(("field", "type", "default", "what it is"), list(_fields(ServiceConfig)))
    return ["## Configuration of the service", intro, table]


def _serve_arguments() -> list[str]:
    from spatial_agent.services.serve_app import ServeOptions

    intro = "The `args` of the application in `deploy/serve.yaml`."
    table = _table(("field", "type", "default", "what it is"), list(_fields(ServeOptions)))
    return ["## Arguments of the Ray Serve application", intro, table]


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}.")
        else:
            yield f"`{prefix}{name}`", _kind(field), _default(field), _code(field.description or "")


def _kind(field: FieldInfo) -> str:
    names = [_kind_name(kind) for kind in get_args(field.annotation) or (field.annotation,)]
    if getattr(field.annotation, "__origin__", None) is list:
        return f"list of {names[0]}"
    return " or ".join(name for name in names if name)


def _kind_name(kind: Any) -> str:  # noqa: ANN401 - whatever stands in an annotation
    plain = getattr(kind, "__origin__", kind)
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return names.get(plain, "")


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else repr(default)}`".replace("'", '"')


def _problems() -> list[str]:
    intro = f"`type` is `{PREFIX}` and the name, or `about:blank` where the status says all there is to say."
    said = {(INTERNAL.status, INTERNAL.name): (INTERNAL.title, "Nobody foresaw it; the log says more.")}
    for error, kind in KINDS.items():
        said.setdefault((kind.status, kind.name), (kind.title, _first_sentence(error)))
    rows = [
        (f"`{name}`", str(status), title, what, WHO[name])
        for (status, name), (title, what) in sorted(said.items())
    ]
    head = ("name", "status", "title", "when", "who must act")
    return ["## Problems", intro, _table(head, rows)]


def _first_sentence(error: type[BaseException]) -> str:
    words = " ".join((inspect.getdoc(error) or "").partition("\n\n")[0].split())
    return _code(words[:1].upper() + words[1:])


def scopes() -> dict[tuple[str, str], frozenset[str]]:
    """Return the scopes that each route asks a key for, by method and path; none where it needs no key."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    return {
        (method, route.path.replace(":path}", "}")): frozenset(_scopes(route.dependant))
        for route in routes
        for method in route.methods or ()
    }


def _scopes(dependant: Dependant) -> Iterator[str]:
    for part in dependant.dependencies:
        call = part.call
        if inspect.isfunction(call) and call.__qualname__.startswith("_allowed."):
            yield str(inspect.getclosurevars(call).nonlocals["scope"])
        yield from _scopes(part)


def _routes() -> list[str]:
    intro = (
        "Scopes are what a key must allow (`spatial-agent keys create --scope`); where none stands, no key "
        "is asked for. Beside these statuses any route may answer with a [problem](#problems)."
    )
    needed = scopes()
    rows = [
        (
            f"`{method} {path}`",
            ", ".join(f"`{scope}`" for scope in sorted(needed[method, path])),
            ", ".join(statuses),
            _code(what),
        )
        for method, path, statuses, what in operations()
    ]
    return ["## Routes", intro, _table(("route", "scopes", "answers", "what it does"), rows)]


def operations() -> list[tuple[str, str, list[str], str]]:
    """Return method, path, statuses that are no problem, and summary of every operation."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(cache_folder=Path(folder), model="none", database=None)
        service = open_service(ServiceConfig(folder=Path(folder), host="0.0.0.0"), settings)
        try:
            paths = create_app(service).openapi()["paths"]
        finally:
            service.store.close()
            if service.slot is not None:
                service.slot.close()
    return [
        (
            method.upper(),
            path,
            sorted(status for status in operation["responses"] if status < "400"),
            " ".join(operation["description"].partition("\n\n")[0].split()),
        )
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]


def _commands() -> list[str]:
    parts = ["## Commands", "`--help` says the same."]
    for name, command in _tree("spatial-agent", typer.main.get_command(command_line)):
        parts += [f"### `{name}`", _code(" ".join((command.help or "").split()))]
        rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
        parts += [_table(("option", "default", "what it is"), rows)] if rows else []
    return parts


def _tree(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - commands have no public class
    below = getattr(command, "commands", {})
    if not below:
        yield name, command
    for word, child in below.items():
        yield from _tree(f"{name} {word}", child)


def _parameter(parameter: Any) -> tuple[str, str, str]:  # noqa: ANN401 - as above
    is_option = parameter.param_type_name == "option"
    names = "/".join([*parameter.opts, *parameter.secondary_opts]) if is_option else parameter.name.upper()
    default = parameter.default
    shown = (
        "" if default is None or default is False or default == () or callable(default) else f"`{default}`"
    )
    required = " (required)" if parameter.required and is_option else ""
    return f"`{names}`{required}", shown, _code(parameter.help or "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    return text.replace("``", "`").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
