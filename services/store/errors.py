"""What goes wrong with the store.

::

    SpatialAgentError
    └── StoreError
        ├── StoreUnavailableError     the operator: the database cannot be reached, or is too busy
        ├── IdempotencyConflictError  the caller: a key that stood for another request
        ├── QueueFullError            the caller: later, once jobs have been done
        └── UnknownKeyError           whoever manages keys
"""

from spatial_agent.tools.errors import SpatialAgentError

__all__ = [
    "IdempotencyConflictError",
    "QueueFullError",
    "StoreError",
    "StoreUnavailableError",
    "UnknownKeyError",
]


class StoreError(SpatialAgentError):
    """Something could not be kept or found."""


class StoreUnavailableError(StoreError):
    """The database cannot be reached, or is held by others for too long."""


class IdempotencyConflictError(StoreError):
    """An idempotency key came with another request than the one it first came with."""


class QueueFullError(StoreError):
    """As many jobs wait as may."""


class UnknownKeyError(StoreError):
    """No API key has that id, or it was revoked."""
