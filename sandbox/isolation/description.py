"""What an isolated tool says of itself, as data, and the check of it: nothing of it is imported here."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from spatial_agent.sandbox.isolation.protocol import printable
from spatial_agent.tools.contract import Json, Resources, ToolKind, ToolSpec, Weights
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.registry import Reference, Tool

#: What no isolated tool can have more of, whatever it declares.
MOST_MEMORY_GB, MOST_THREADS, MOST_BATCHED = 16.0, 8, 64
MOST_DEADLINE_S, MOST_LOAD_S = 600.0, 600.0
#: Memory of an isolated tool that declares none, 10^9 bytes.
USUAL_MEMORY_GB = 4.0

_MOST_TEXT, _MOST_SCHEMA, _MOST_LEVELS, _MOST_ARGUMENTS, _MOST_WEIGHTS = 8_000, 64_000, 16, 64, 16
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_TYPE = re.compile(r"[A-Za-z0-9_.,| \[\]'\"]{1,200}")
_SOURCE = re.compile(r"(hf|file):[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_PATTERN = re.compile(r"[A-Za-z0-9_*?][A-Za-z0-9_.*?-]*(/[A-Za-z0-9_*?][A-Za-z0-9_.*?-]*){0,3}")
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,79}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BASES = ("measured", "parameters", "unknown")


@dataclass(frozen=True)
class Description:
    """A tool without its code.

    Attributes:
        spec: What planners and people read.
        references: Arguments passed by reference.
        batches: Whether it takes several calls at once.
    """

    spec: ToolSpec
    references: Mapping[str, Reference]
    batches: bool


def described(tool: Tool) -> dict[str, Json]:
    """Return what a tool's signature and docstring say, as plain JSON; runs where the tool's code runs."""
    spec = tool.spec
    return {
        "name": spec.name,
        "version": spec.version,
        "description": spec.description,
        "parameters": json.loads(json.dumps(spec.parameters)),
        "references": {name: asdict(reference) for name, reference in tool.references.items()},
        "returns": spec.returns,
        "weights": [asdict(weights) | {"files": list(weights.files)} for weights in spec.weights],
        "resources": asdict(spec.resources),
        "deterministic": spec.deterministic,
        "idempotent": spec.idempotent,
        "batches": tool.batches,
    }


def checked_description(data: object, name: str, kind: ToolKind) -> Description:
    """Return the description that a tool's process, or a file, gave.

    Args:
        data: What it gave.
        name: The name it is registered under.
        kind: What it is registered as.

    Raises:
        WireError: If it is not one, of another tool, too large, or names what it must not.
    """
    given = _members(data, "description", _MEMBERS)
    if given["name"] != name:
        raise WireError(f"it calls itself {_shown(given['name'])}; expected {name!r}, the entry point's name")
    description = _text(given["description"], "description")
    references = _references(given["references"])
    spec = ToolSpec(
        name=name,
        version=_matching(given["version"], _WORD, "version"),
        kind=kind,
        summary=description.splitlines()[0],
        description=description,
        parameters=_parameters(given["parameters"], references),
        references={argument: str(reference) for argument, reference in references.items()},
        returns=_matching(given["returns"], _TYPE, "returns"),
        weights=tuple(_weights(item) for item in _list(given["weights"], _MOST_WEIGHTS, "weights")),
        resources=_resources(given["resources"]),
        deterministic=_truth(given["deterministic"], "deterministic"),
        idempotent=_truth(given["idempotent"], "idempotent"),
    )
    return Description(spec, references, _truth(given["batches"], "batches"))


_MEMBERS = frozenset(
    {"name", "version", "description", "parameters", "references", "returns", "weights", "resources"}
    | {"deterministic", "idempotent", "batches"}
)


def _references(data: object) -> dict[str, Reference]:
    found = {}
    for name, item in _mapping(data, _MOST_ARGUMENTS, "references").items():
        given = _members(item, "reference", {field.name for field in fields(Reference)})
        found[_matching(name, _IDENTIFIER, "argument")] = Reference(
            _matching(given["type_name"], _IDENTIFIER, "type_name"),
            _truth(given["many"], "many"),
            _truth(given["optional"], "optional"),
        )
    return found


def _parameters(data: object, references: Mapping[str, Reference]) -> dict[str, Json]:
    schema = _plain(data, 0)
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise WireError("parameters: expected the schema of an object")
    if len(json.dumps(schema)) > _MOST_SCHEMA:
        raise WireError(f"parameters: expected a schema of at most {_MOST_SCHEMA} characters")
    properties = _mapping(schema.get("properties"), _MOST_ARGUMENTS, "properties")
    for name, part in properties.items():
        _matching(name, _IDENTIFIER, "argument")
        _mapping(part, _MOST_ARGUMENTS, name)
    required = _list(schema.get("required", []), _MOST_ARGUMENTS, "required")
    unknown = [name for name in (*required, *references) if name not in properties]
    if unknown:
        raise WireError(f"parameters: {_shown(unknown[0])} is no argument")
    # What stands for a reference is decided here; what it is for, there.
    own = {
        name: {key: text for key, text in properties[name].items() if key == "description"} | item.schema
        for name, item in references.items()
    }
    return schema | {"properties": properties | own}


def _weights(data: object) -> Weights:
    given = _members(data, "weights", {field.name for field in fields(Weights)})
    digests = _mapping(given["sha256"], _MOST_WEIGHTS, "sha256")
    revision, parameters, vram_gb = given["revision"], given["parameters"], given["vram_gb"]
    if given["vram_basis"] not in _BASES:
        raise WireError(f"vram_basis: expected one of {', '.join(_BASES)}, got {_shown(given['vram_basis'])}")
    return Weights(
        # The names become names of files.
        name=_matching(given["name"], _WORD, "name of weights"),
        source=_matching(given["source"], _SOURCE, "source of weights"),
        licence=_matching(given["licence"], _LICENCE, "licence"),
        files=tuple(
            _matching(item, _PATTERN, "files") for item in _list(given["files"], _MOST_WEIGHTS, "files")
        ),
        revision=None if revision is None else _matching(revision, _DIGEST, "revision"),
        sha256={
            _matching(name, _PATTERN, "file"): _matching(digest, _DIGEST, "sha256")
            for name, digest in digests.items()
        },
        parameters=None if parameters is None else int(_number(parameters, 0, 1e13, "parameters")),
        vram_gb=None if vram_gb is None else _number(vram_gb, 0, 1e4, "vram_gb"),
        vram_basis=given["vram_basis"],
    )


def _resources(data: object) -> Resources:
    """Return what it may use: what it declares, within bounds; where it runs is not its choice."""
    given = _members(data, "resources", {field.name for field in fields(Resources)})
    memory_gb = USUAL_MEMORY_GB if given["memory_gb"] is None else given["memory_gb"]
    return Resources(
        threads=min(int(_number(given["threads"], 1, 1e6, "threads")), MOST_THREADS),
        memory_gb=min(_number(memory_gb, 0, 1e6, "memory_gb"), MOST_MEMORY_GB),
        deadline_s=min(_number(given["deadline_s"], 0, 1e9, "deadline_s"), MOST_DEADLINE_S),
        load_s=min(_number(given["load_s"], 0, 1e9, "load_s"), MOST_LOAD_S),
        most_batched=min(int(_number(given["most_batched"], 1, 1e6, "most_batched")), MOST_BATCHED),
    )


def _plain(data: object, level: int) -> Json:
    """Return plain JSON whose texts steer no terminal, or refuse what is deeper than schemas are."""
    if level > _MOST_LEVELS:
        raise WireError(f"parameters: expected at most {_MOST_LEVELS} levels")
    match data:
        case str():
            return printable(data)
        case list():
            return [_plain(item, level + 1) for item in data]
        case Mapping():
            return {_key(key): _plain(item, level + 1) for key, item in data.items()}
        case None | bool() | int() | float():
            return data
        case _:
            raise WireError(f"parameters: expected plain JSON, got a {type(data).__name__}")


def _key(key: object) -> str:
    if not isinstance(key, str) or not key.isprintable():
        raise WireError(f"parameters: expected printable names, got {_shown(key)}")
    return key


def _members(data: object, what: str, names: frozenset[str] | set[str]) -> dict[str, Any]:
    given = _mapping(data, len(names), what)
    if set(given) != names:
        raise WireError(f"{what}: expected the members {', '.join(sorted(names))}")
    return given


def _mapping(data: object, most: int, what: str) -> dict[Any, Any]:
    if not isinstance(data, dict) or len(data) > most:
        raise WireError(f"{what}: expected a mapping of at most {most} members, got {_shown(data)}")
    return data


def _list(data: object, most: int, what: str) -> list[Any]:
    if not isinstance(data, list) or len(data) > most:
        raise WireError(f"{what}: expected a list of at most {most} items, got {_shown(data)}")
    return data


def _text(data: object, what: str) -> str:
    if not isinstance(data, str) or not data.strip() or len(data) > _MOST_TEXT:
        raise WireError(f"{what}: expected a text of 1 to {_MOST_TEXT} characters")
    return printable(data).strip()


def _matching(data: object, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(data, str) or not pattern.fullmatch(data):
        raise WireError(f"{what}: expected {pattern.pattern}, got {_shown(data)}")
    return data


def _number(data: object, least: float, most: float, what: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or not least <= data <= most:
        raise WireError(f"{what}: expected a number from {least:g} to {most:g}, got {_shown(data)}")
    return float(data)


def _truth(data: object, what: str) -> bool:
    if not isinstance(data, bool):
        raise WireError(f"{what}: expected true or false, got {_shown(data)}")
    return data


def _shown(data: object) -> str:
    return ascii(data)[:80] if isinstance(data, str | int | float) else f"a {type(data).__name__}"
