"""How much one scene may bring, counted while it comes: bytes, files, and what the tenant has left."""

from collections import Counter
from threading import Lock

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.errors import QuotaExceededError, TooLargeError

GIB = 2**30


class InFlight:
    """Bytes on the disk that belong to no scene yet, by tenant; of this process."""

    def __init__(self) -> None:
        """Begin with none."""
        self._bytes: Counter[str] = Counter()
        self._lock = Lock()

    def add(self, tenant: str, count: int) -> int:
        """Add bytes, or with a negative count take them off, and return how many there are."""
        with self._lock:
            self._bytes[tenant] += count
            total = self._bytes[tenant]
            if not total:
                del self._bytes[tenant]
            return total

    def of(self, tenant: str) -> int:
        """Return how many bytes there are of a tenant."""
        with self._lock:
            return self._bytes[tenant]


class Room:
    """What one scene takes while it is received; used by one request, from one thread at a time.

    Attributes:
        taken: Bytes of it on the disk now.
        files: Files of it.
    """

    def __init__(self, limits: Limits, in_flight: InFlight, tenant: str, most_bytes: int | None) -> None:
        """Begin with nothing.

        Args:
            limits: What one scene may bring.
            in_flight: Knows what else the tenant sends at the moment.
            tenant: Whose scene it becomes.
            most_bytes: What the tenant may still store; None does not limit it.
        """
        self.taken = 0
        self.files = 0
        self._limits = limits
        self._in_flight = in_flight
        self._tenant = tenant
        self._most_bytes = most_bytes

    def count_file(self) -> None:
        """Count a file.

        Raises:
            TooLargeError: If there are too many.
        """
        self.files += 1
        if self.files > self._limits.files:
            raise TooLargeError(f"expected at most {self._limits.files} files in one scene, got more")

    def take(self, count: int) -> None:
        """Count bytes before they are written.

        Raises:
            TooLargeError: If the scene becomes too large.
            QuotaExceededError: If the tenant has no room left.
        """
        self.taken += count
        total = self._in_flight.add(self._tenant, count)
        if self.taken > self._limits.upload_bytes:
            raise TooLargeError(
                f"expected at most {self._limits.upload_bytes / GIB:.2f} GiB in one scene, got more"
            )
        if self._most_bytes is not None and total > self._most_bytes:
            raise no_room(self._most_bytes)

    def give_back(self, count: int) -> None:
        """Take off bytes that were removed again."""
        self.taken -= count
        self._in_flight.add(self._tenant, -count)

    def close(self) -> None:
        """Take off everything: it has become a scene, or was removed."""
        self.give_back(self.taken)


def no_room(left_bytes: int) -> QuotaExceededError:
    """Return the error of a tenant that has no room left."""
    return QuotaExceededError(
        f"expected at most {max(left_bytes, 0) / GIB:.2f} GiB more, which is what is left of the storage of "
        "this tenant, got more; delete scenes or unfinished uploads"
    )
