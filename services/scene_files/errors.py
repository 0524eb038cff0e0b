"""Why files are not taken as a scene.

::

    SourceError
    └── UploadError                these files are not taken: what they are, or what they are called
        ├── TooLargeError          more bytes, files, pixels, frames or seconds than one scene may have
        ├── QuotaExceededError     the tenant's scenes take all they may
        └── UploadConflictError    a resumable upload is not where the request takes it to be
"""

from spatial_agent.tools.errors import SourceError

__all__ = ["QuotaExceededError", "TooLargeError", "UploadConflictError", "UploadError"]


class UploadError(SourceError):
    """The files are not taken; none of them is kept."""


class TooLargeError(UploadError):
    """The files bring more than one scene may have."""


class QuotaExceededError(UploadError):
    """There is no room left: what the tenant's scenes may take, or the disk, is full."""


class UploadConflictError(UploadError):
    """A resumable upload is held by another request, or is not at the place the request goes on from."""
