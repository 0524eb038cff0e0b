"""Who is asking: API keys, what they allow, how fast and how much."""

import asyncio
import time
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from spatial_agent.services.api.caller import Caller, local_caller
from spatial_agent.services.api.problems import AuthenticationError, QuotaError, RateLimitError
from spatial_agent.services.api.rates import RateLimits
from spatial_agent.services.api.service import Service
from spatial_agent.services.store.records import KeyRecord

DAY_S = 86_400
_BEARER = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key as a bearer token.")
_HEADER = APIKeyHeader(
    name="X-API-Key", auto_error=False, scheme_name="header", description="An API key in a header of its own."
)


async def identified(request: Request) -> Caller:
    """Return who sends a request, by its headers; where the service runs without keys, whoever is here.

    However often it is asked, a request counts once.

    Raises:
        AuthenticationError: If a key is needed, and none came or none that is valid.
        RateLimitError: If the key's requests come too fast.
    """
    known: Caller | None = getattr(request.state, "caller", None)
    if known is None:
        known = request.state.caller = await _caller(request)
    return known


async def authenticated(
    request: Request,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    _header: Annotated[str | None, Security(_HEADER)],
) -> Caller:
    """Return who sends a request, and have the document say how keys come; see `identified`.

    Raises:
        AuthenticationError: If a key is needed, and none came or none that is valid.
        RateLimitError: If the key's requests come too fast.
    """
    return await identified(request)


async def spend(service: Service, caller: Caller, amount: int = 1) -> None:
    """Count questions or calls of experts against a caller's day; a negative amount gives them back.

    Raises:
        QuotaError: If the day's quota is used up; nothing is counted then.
    """
    if caller.key is None:
        return
    now = time.time()
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    most = caller.key.allowance.questions_per_day
    if not await asyncio.to_thread(service.store.usage.spend, caller.key.id, day, amount, most):
        raise QuotaError(
            f"this key may ask {most} questions a day (UTC), scenes and calls of experts included, and has; "
            "ask tomorrow, or for a larger quota",
            retry_after_s=DAY_S - now % DAY_S,
        )


async def check_left(service: Service, caller: Caller) -> None:
    """Refuse who has used up their day, before something is kept for a question that would be refused.

    Raises:
        QuotaError: If they have.
    """
    await spend(service, caller)
    await spend(service, caller, -1)


async def _caller(request: Request) -> Caller:
    service: Service = request.app.state.service
    request_id = getattr(request.state, "request_id", "")
    if not service.config.needs_keys:
        return local_caller(request_id)
    bearer = await _BEARER(request)
    key = await _key(service, bearer.credentials if bearer is not None else await _HEADER(request))
    _not_too_fast(request.app.state.rates, key)
    return Caller(key.tenant, key.scopes, key, request_id)


async def _key(service: Service, token: str | None) -> KeyRecord:
    if not token:
        raise AuthenticationError(
            "expected an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY', got none; "
            "the operator makes one with 'spatial-agent keys create'"
        )
    key = await asyncio.to_thread(service.store.keys.find, token)
    if key is None:
        raise AuthenticationError("the API key is not known here, has expired, or was revoked")
    return key


def _not_too_fast(rates: RateLimits, key: KeyRecord) -> None:
    wait_s = rates.take(key.id, key.allowance.requests_per_minute)
    if wait_s > 0:
        raise RateLimitError(
            f"this key may send {key.allowance.requests_per_minute} requests a minute; "
            f"the next one in {wait_s:.1f} s",
            retry_after_s=wait_s,
        )
