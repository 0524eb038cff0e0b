"""Where the service is and who asks, and what both clients make of `httpx`'s requests and replies."""

import ipaddress
import re
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import httpx

from spatial_agent.services.sdk.errors import ProtocolError, UnreachableError
from spatial_agent.services.sdk.payload import Payload
from spatial_agent.services.sdk.steps import MOST_REPLY_BYTES, Reply, Request
from spatial_agent.tools.errors import ConfigurationError

Content = bytes | Iterator[bytes] | AsyncIterator[bytes] | None
#: After these the service has not seen the request.
NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

KEY = re.compile(r"[\x21-\x7e]{1,512}")
CONNECT_S = 10.0


@dataclass(frozen=True)
class Address:
    """A service, and the key that it gets; the key is never printed.

    Attributes:
        url: Its address, without a ``/`` at the end.
        key: The API key, or None.

    Raises:
        ConfigurationError: If the address or the key is none.
    """

    url: str
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check both."""
        url = _parsed(self.url)
        object.__setattr__(self, "url", str(url).rstrip("/"))
        if self.key is not None and not KEY.fullmatch(self.key):
            raise ConfigurationError("key: expected an API key as the service printed it, got something else")

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        host = httpx.URL(self.url).host
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def warn(self, stacklevel: int) -> None:
        """Warn where anybody on the way can read the key."""
        if self.key and self.url.startswith("http:") and not self.is_loopback:
            warnings.warn(
                f"{self.url} is reached without encryption: anybody on the way can read the key; use https",
                UserWarning,
                stacklevel=stacklevel,
            )

    def options(self) -> dict[str, Any]:
        """Return how `httpx` reaches it."""
        headers = {
            "User-Agent": f"spatial-agent-sdk/{version('spatial-reasoning-agent')}",
            "Accept-Encoding": "identity",
        }
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return {
            "base_url": self.url,
            "headers": headers,
            "follow_redirects": False,
            # A proxy cannot reach this machine, and would get the key.
            "trust_env": not self.is_loopback,
        }


def address_of(url: str | None, key: str | None) -> Address:
    """Return the service that is meant: what is given, else what the settings say.

    The key of the settings goes to the address of the settings alone, where they have one.

    Raises:
        ConfigurationError: If the address or the key is none.
    """
    from spatial_agent.services.settings import DEFAULT_API_URL, Settings

    settings = Settings()
    usual = Address(settings.api_url)
    address = Address(url or usual.url, key)
    is_known = usual.url in (address.url, DEFAULT_API_URL)
    return replace(address, key=settings.api_key) if key is None and is_known else address


def started(http: httpx.Client | httpx.AsyncClient, request: Request, content: Content) -> httpx.Request:
    """Return a request as `httpx` sends it."""
    headers = dict(request.headers)
    if isinstance(request.body, Payload):
        headers["Content-Length"] = str(request.body.length)
    wait = httpx.Timeout(request.patience_s, connect=CONNECT_S)
    return http.build_request(request.method, request.path, headers=headers, content=content, timeout=wait)


def counted(request: Request, body: Payload) -> Iterator[bytes]:
    """Yield a body, telling how much of it has gone out."""
    total = 0
    for piece in body.pieces():
        yield piece
        total += len(piece)
        if request.sent is not None:
            request.sent(total)


def head_of(response: httpx.Response) -> Reply:
    """Return a reply without its body."""
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()})


class Body:
    """The body of a reply, which may have only so many bytes."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Add what came.

        Raises:
            ProtocolError: If it is too much.
        """
        self._size += len(piece)
        if self._size > MOST_REPLY_BYTES:
            raise ProtocolError(f"expected a reply of at most {MOST_REPLY_BYTES} bytes, it is larger")
        self._pieces.append(piece)

    def of(self, head: Reply) -> Reply:
        """Return the whole reply."""
        return replace(head, body=b"".join(self._pieces))


def failure(error: httpx.HTTPError, url: str) -> UnreachableError:
    """Return what to tell a plan of a request that failed on the way.

    Raises:
        ProtocolError: If something came that cannot be read.
    """
    if not isinstance(error, httpx.TransportError):
        raise ProtocolError(f"expected a reply of {url} that can be read, {type(error).__name__}") from None
    why = str(error) or "no sign of life in time"
    return UnreachableError(
        f"{url}: the connection failed ({type(error).__name__}: {why}); see whether the service runs there",
        arrived=not isinstance(error, NEVER_ARRIVED),
    )


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise ConfigurationError(
            "url: expected an address such as https://HOST:PORT, got something else"
        ) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError(f"url: expected http:// or https:// and a host, got {parsed.scheme!r}")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ConfigurationError(
            "url: expected an address alone; give the key as key=, not within the address"
        )
    return parsed
