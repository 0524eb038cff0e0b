"""Where weights are fetched from: the model hub, or a folder on this machine.

`huggingface_hub` is imported here only, when something is fetched; it comes with the ``models`` extra.
"""

import errno
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from spatial_agent.services.weights_place import Place, is_inside, needed
from spatial_agent.tools.errors import ConfigurationError, SourceError, ToolUnavailableError
from spatial_agent.tools.progress import report

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

BLOCK = 2**20
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Expected:
    """What an origin says about one of its files.

    Attributes:
        size: Its bytes.
        sha256: Its digest, or None where the origin does not say.
        git_sha1: Its identifier in git, or None; what the hub states of files it keeps in git itself.
    """

    size: int
    sha256: str | None = None
    git_sha1: str | None = None


class Origin(Protocol):
    """Something that has the files of weights."""

    @property
    def revision(self) -> str | None:
        """Commit it hands out, where it has any."""
        ...

    @property
    def files(self) -> Mapping[str, Expected]:
        """Its files that the weights need, by their path inside it."""
        ...

    def fetch(self, name: str, partial: Path) -> None:
        """Write a file, going on where an earlier, interrupted attempt left off.

        Raises:
            SourceError: If it cannot be read.
            StoppedError: If nobody waits for it any more; what was written stays.
        """
        ...


def sha256_of(path: Path, what: str) -> str:
    """Return the SHA-256 of a file, hexadecimal, and report progress under a name."""
    return _digest(path, hashlib.sha256(), what)


def git_sha1_of(path: Path, what: str) -> str:
    """Return the identifier git gives to a file's content."""
    return _digest(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False), what)


class FolderOrigin:
    """Files in a folder of this machine, such as a copied weights folder or a snapshot of the hub.

    Args:
        place: Where they lie.
    """

    revision = None

    def __init__(self, place: Place) -> None:
        """Take the digests of the files."""
        self._root = place.root
        self.files = {
            name: Expected((self._root / name).stat().st_size, sha256_of(self._root / name, f"check {name}"))
            for name in place.files
        }

    def fetch(self, name: str, partial: Path) -> None:
        """Copy a file."""
        source = self._root / name
        total = self.files[name].size
        with source.open("rb") as given, partial.open("ab") as taken:
            given.seek(taken.tell())
            while block := given.read(BLOCK):
                taken.write(block)
                _report(name, taken.tell(), total)


class HubOrigin:
    """A repository of the model hub at one commit.

    Args:
        repository: Its name, ``"owner/model"``.
        patterns: What is needed of it.
        revision: The commit, or None for the newest one.
        endpoint: Address of the hub; that of `huggingface_hub` where left out.

    Raises:
        ConfigurationError: If `huggingface_hub` is not installed.
        ToolUnavailableError: If the hub cannot be reached, or does not give the files away.
    """

    def __init__(
        self, repository: str, patterns: Sequence[str], revision: str | None, endpoint: str | None = None
    ) -> None:
        """Ask the hub what it has."""
        hub = _hub()
        self._repository = repository
        self._endpoint = endpoint
        with self._explained():
            info = hub.HfApi(endpoint=endpoint).model_info(
                repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
        self.revision: str | None = info.sha
        stated = {item.rfilename: item for item in info.siblings or () if is_inside(item.rfilename)}
        self.files = {name: _stated(stated[name]) for name in needed(patterns, stated)}

    def fetch(self, name: str, partial: Path) -> None:
        """Download a file."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        size = self.files[name].size
        url = hf_hub_url(self._repository, name, revision=self.revision, endpoint=self._endpoint)
        # A compressed answer could not be taken up in its middle.
        headers = build_hf_headers() | {"Accept-Encoding": "identity"}
        with self._explained(), partial.open("ab") as taken:
            done = taken.tell()
            http_get(
                url,
                _Reporting(taken, lambda written: _report(name, written, size)),  # type: ignore[arg-type]
                resume_size=done,
                headers=headers,
                expected_size=size,
                displayed_filename=name,
                tqdm_class=_silent_bar(),
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the hub's library raises into what a person can do; nothing of a token is repeated."""
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

        page = f"https://huggingface.co/{self._repository}"
        try:
            yield
        except OfflineModeIsEnabled:
            raise ToolUnavailableError(
                "HF_HUB_OFFLINE is set, so nothing is fetched from the hub; unset it, or give --from FOLDER"
            ) from None
        except GatedRepoError:
            raise ToolUnavailableError(
                f"{self._repository} is handed out only to people who accepted its licence: accept it at "
                f"{page}, then log in with `hf auth login`"
            ) from None
        except HfHubHTTPError as error:
            raise ToolUnavailableError(
                f"the hub answered {error.response.status_code} for {self._repository} (at {page}); try "
                "again later, or give --from FOLDER"
            ) from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ConfigurationError("the disk of the weights folder is full") from error
            raise ToolUnavailableError(_unreachable(self._repository, error)) from None
        except Exception as error:
            if not _is_transport(error):
                raise
            raise ToolUnavailableError(_unreachable(self._repository, error)) from None


class _Reporting:
    """A file that tells how much of it is written; `http_get` writes, seeks and truncates."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell

    def write(self, block: bytes) -> int:
        written = self._file.write(block)
        self._tell(self._file.tell())
        return written

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)

    def truncate(self) -> int:
        return self._file.truncate()

    def tell(self) -> int:
        return self._file.tell()


def _stated(item: "RepoSibling") -> Expected:
    if item.lfs is not None:
        return Expected(item.lfs.size, item.lfs.sha256)
    if item.size is None:
        raise SourceError(f"the hub states no size of {item.rfilename}")
    return Expected(item.size, git_sha1=item.blob_id)


def _report(name: str, done: int, total: int) -> None:
    report(f"{name} (kB)", done // 1000, max(total // 1000, 1))


def _digest(path: Path, digest: Any, what: str) -> str:  # noqa: ANN401 - hashlib has no public type for it
    size = path.stat().st_size
    done = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            _report(what, done, size)
    return str(digest.hexdigest())


def _hub() -> Any:  # noqa: ANN401 - a module
    try:
        import huggingface_hub
    except ImportError:
        raise ConfigurationError(
            "fetching from the hub needs huggingface_hub: pip install 'spatial-reasoning-agent[models]', "
            "or copy the files with --from FOLDER"
        ) from None
    return huggingface_hub


def _silent_bar() -> Any:  # noqa: ANN401 - a class made for `http_get`
    from huggingface_hub.utils.tqdm import tqdm

    class Silent(tqdm):
        """Draws nothing: progress is reported where all long work reports it."""

        def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
            super().__init__(*args, **(options | {"disable": True}))  # type: ignore[no-untyped-call]

    return Silent


def _is_transport(error: Exception) -> bool:
    """Whether an exception comes from whichever HTTP library `huggingface_hub` uses."""
    return type(error).__module__.partition(".")[0] in {"httpx", "httpx2", "httpcore", "requests"}


def _unreachable(repository: str, error: Exception) -> str:
    return (
        f"the connection to the hub broke while fetching {repository} ({type(error).__name__}); what has "
        "arrived is kept: run the same command again to go on, or give --from FOLDER"
    )
