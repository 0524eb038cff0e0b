"""Models by choice: ``openai:NAME@URL``, ``hf:NAME_OR_FOLDER``, ``scripted:FILE`` or ``none``.

Behind a ``?`` a choice may say what the model takes, where that is not known or not right by itself::

    openai:qwen2.5-vl-7b@http://127.0.0.1:8000/v1?context=8192&pictures=4&tools=text
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from spatial_agent.agent.models.chat import ChatModel, ModelLimits
from spatial_agent.tools.errors import ConfigurationError, SourceError

#: What is expected of a choice; said in errors and help.
CHOICES = "openai:NAME@URL, openai:NAME, hf:NAME_OR_FOLDER, scripted:FILE or none"

_COMPLETIONS = "/chat/completions"
#: What is meant as an address and lacks its http://, behind the name of a model; some names have an @, too.
_BARE_ADDRESS = re.compile(r"@(?:localhost\b|[\w.-]+:\d|\[|[\w-]+(?:\.[\w-]+)+(?:/|$))")
#: User and password of an address, whatever is wrong with the rest of it.
_USER = re.compile(r"//\S*@")


def open_model(choice: str, *, key: str | None, weights_folder: Path | None = None) -> ChatModel | None:
    """Return the chosen model, which keeps to its own limits; nothing is connected or loaded yet.

    Args:
        choice: ``"openai:NAME@URL"`` (without URL: OpenAI), ``"hf:NAME_OR_FOLDER"``, ``"scripted:FILE"`` or
            ``"none"``; behind a ``?``, joined by ``&``, any of ``context=TOKENS``, ``pictures=NUMBER``,
            ``side=PIXELS``, ``tools=native|text``, ``schemas=native|text``, ``timeout=SECONDS`` (only
            ``openai:``) and ``device=NAME`` (only ``hf:``).
        key: Key for the server, from settings; None where it needs none.
        weights_folder: Folder in which models of ``hf:`` are looked for by name first.

    Returns:
        The model, or None for ``"none"``.

    Raises:
        ConfigurationError: If the choice is none, or what it needs is missing; says what was expected.
    """
    if choice.strip() == "none":
        return None
    kind, separator, rest = choice.strip().partition(":")
    open_kind = _KINDS.get(kind)
    if not separator or not rest or open_kind is None:
        raise ConfigurationError(f"expected a model as {CHOICES}, got {_shown(choice)}")
    what, _, suffix = rest.partition("?")
    return open_kind(what, _wishes(suffix, kind), key, weights_folder)


def address_of(choice: str) -> str | None:
    """Return the address that the requests of a model would go to; None where they stay on this machine.

    Raises:
        ConfigurationError: If the choice names no address that can be.

    >>> address_of("openai:gpt-4o"), address_of("openai:qwen@http://10.0.0.7:8000"), address_of("none")
    ('https://api.openai.com/v1', 'http://10.0.0.7:8000/v1', None)
    """
    kind, _, rest = choice.strip().partition(":")
    if kind != "openai":
        return None
    from spatial_agent.agent.models.openai_compatible import OPENAI_URL

    return _name_and_address(rest.partition("?")[0])[1] or OPENAI_URL


@dataclass(frozen=True)
class _Wishes:
    """What stands behind the ``?``.

    Attributes:
        limits: Fields of `ModelLimits` that were named.
        timeout_s: Longest wait for a server, seconds, or None.
        device: Where a model is to run, or None.
    """

    limits: Mapping[str, Any]
    timeout_s: float | None = None
    device: str | None = None

    def over(self, limits: ModelLimits) -> ModelLimits:
        """Return limits with those that were named in the place of their own."""
        return replace(limits, **self.limits)


def _open_openai(what: str, wishes: _Wishes, key: str | None, _folder: Path | None) -> ChatModel:
    from spatial_agent.agent.models.openai_compatible import TIMEOUT_S, OpenAICompatible

    name, url = _name_and_address(what)
    timeout_s = wishes.timeout_s or TIMEOUT_S
    model = OpenAICompatible(name, url, key, timeout_s=timeout_s)
    if wishes.limits:
        model = OpenAICompatible(name, url, key, timeout_s=timeout_s, limits=wishes.over(model.limits))
    return _fitted(model)


def _open_in_process(what: str, wishes: _Wishes, _key: str | None, folder: Path | None) -> ChatModel:
    from spatial_agent.agent.models.in_process import InProcess

    own = folder / what if folder is not None and not Path(what).is_absolute() else None
    source = own if own is not None and own.is_dir() else what
    model = InProcess(source, device=wishes.device)
    if wishes.limits:
        model = InProcess(source, device=wishes.device, limits=wishes.over(model.limits))
    return _fitted(model)


def _open_scripted(what: str, wishes: _Wishes, _key: str | None, _folder: Path | None) -> ChatModel:
    from spatial_agent.agent.models.scripted import Scripted

    if wishes.limits:
        raise ConfigurationError(
            f"a script says its limits itself, under 'limits'; got {_shown(what)} with ?"
        )
    try:
        return _fitted(Scripted.from_file(Path(what).expanduser()))
    except SourceError as error:
        raise ConfigurationError(str(error)) from error


_KINDS: Mapping[str, Callable[[str, _Wishes, str | None, Path | None], ChatModel]] = {
    "openai": _open_openai,
    "hf": _open_in_process,
    "scripted": _open_scripted,
}


def _fitted(model: ChatModel) -> ChatModel:
    """Return a model that is given what it lacks, and no more than it takes."""
    from spatial_agent.agent.models.fitted import Fitted
    from spatial_agent.agent.models.text_protocol import TextProtocol

    has_all = model.limits.has_tools and model.limits.has_schemas
    return Fitted(model if has_all else TextProtocol(model))


def _name_and_address(what: str) -> tuple[str, str | None]:
    """Return name and address of a model behind one; None for OpenAI's own.

    Raises:
        ConfigurationError: If either is none. What is half an address is no name: pictures would go to OpenAI
            that are meant for a server nearby.
    """
    at = what.find("@http")
    name, url = (what, None) if at < 0 else (what[:at], _address(what[at + 1 :]))
    if not name or "://" in name:
        raise ConfigurationError(f"expected openai:NAME@URL, got no name before {_shown(what)}")
    if url is None and _BARE_ADDRESS.search(name):
        raise ConfigurationError(
            f"expected openai:NAME@URL with a URL that begins with http:// or https://, got {_shown(what)}"
        )
    return name, url


def _address(url: str) -> str:
    """Return where ``/chat/completions`` is appended: what people paste may end with it, or lack ``/v1``.

    Raises:
        ConfigurationError: If it is no address, or holds a user or a key.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigurationError(f"expected an address such as http://127.0.0.1:8000/v1, got {_shown(url)}")
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"the address of {parts.hostname} holds a user or a key; give the key as a setting, which is "
            "kept out of traces"
        )
    path = parts.path.rstrip("/").removesuffix(_COMPLETIONS)
    return urlunsplit((parts.scheme, parts.netloc, path or "/v1", "", ""))


def _wishes(suffix: str, kind: str) -> _Wishes:
    """Return what stands behind the ``?``.

    Raises:
        ConfigurationError: If a name or a value is none of those that are known.
    """
    limits: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for pair in filter(None, suffix.split("&")):
        name, _, value = pair.partition("=")
        if name in _LIMITS:
            field, read = _LIMITS[name]
            limits[field] = _read(read, name, value)
        elif name in _OTHERS.get(kind, {}):
            field, read = _OTHERS[kind][name]
            others[field] = _read(read, name, value)
        else:
            known = ", ".join([*_LIMITS, *_OTHERS.get(kind, {})])
            raise ConfigurationError(f"expected any of {known} behind the ? of {kind}:, got {_shown(name)}")
    return _Wishes(limits, **others)


def _read(read: "_ReadValue", name: str, value: str) -> object:
    try:
        return read(value)
    except (ValueError, KeyError):
        expected = _EXPECTED[read]
        raise ConfigurationError(f"expected {name}={expected}, got {name}={_shown(value)}") from None


def _is_native(value: str) -> bool:
    return {"native": True, "text": False}[value]


def _number(value: str) -> int:
    if not value.isdecimal():
        raise ValueError(value)
    return int(value)


def _positive(value: str) -> int:
    number = _number(value)
    if number == 0:
        raise ValueError(value)
    return number


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 < seconds < float("inf"):
        raise ValueError(value)
    return seconds


def _text(value: str) -> str:
    if not value:
        raise ValueError(value)
    return value


_ReadValue = Callable[[str], Any]
_EXPECTED: Mapping[_ReadValue, str] = {
    _is_native: "native or text",
    _number: "a whole number",
    _positive: "a whole number above 0",
    _seconds: "a number of seconds above 0",
    _text: "a name",
}
_LIMITS: Mapping[str, tuple[str, _ReadValue]] = {
    "context": ("context_tokens", _positive),
    "pictures": ("most_pictures", _number),
    "side": ("picture_side_px", _positive),
    "tools": ("has_tools", _is_native),
    "schemas": ("has_schemas", _is_native),
}
_OTHERS: Mapping[str, Mapping[str, tuple[str, _ReadValue]]] = {
    "openai": {"timeout": ("timeout_s", _seconds)},
    "hf": {"device": ("device", _text)},
}


def _shown(text: str) -> str:
    """Return the beginning of what was given, without what may be a key, a user or a password in it."""
    from spatial_agent.agent.models.openai_failures import without_key

    return repr(without_key(_USER.sub("//", text.partition("?")[0]), None)[:120])
