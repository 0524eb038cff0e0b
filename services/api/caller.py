"""Who sends a request, and what they may do and use."""

from dataclasses import dataclass

from spatial_agent.services.store.records import LOCAL_TENANT, SCOPES, Allowance, KeyRecord, Scope


@dataclass(frozen=True)
class Caller:
    """Who sends a request.

    Attributes:
        tenant: Whose scenes, jobs and sessions they see.
        scopes: What they may do.
        key: Their API key; None on a service without keys.
        request_id: Of the request, for the log.
    """

    tenant: str
    scopes: frozenset[Scope]
    key: KeyRecord | None = None
    request_id: str = ""

    @property
    def allowance(self) -> Allowance | None:
        """What they may use; None where nothing is counted."""
        return None if self.key is None else self.key.allowance

    @property
    def key_id(self) -> str | None:
        """Id of their API key, or None."""
        return None if self.key is None else self.key.id


def local_caller(request_id: str = "") -> Caller:
    """Return whoever asks a service that runs without keys: they may do everything."""
    return Caller(LOCAL_TENANT, frozenset(SCOPES), request_id=request_id)
