"""Attacks on the folders whose files may be opened: what lies outside stays closed, whatever is tried."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from spatial_agent.services.mcp_server import allowed_folders
from spatial_agent.services.mcp_server.allowed_folders import AllowedFolders
from spatial_agent.services.mcp_server.pinned import PinnedSources, private_folder
from spatial_agent.tools.errors import ConfigurationError, SourceError

SECRET = "a secret of somebody else"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a scan in it that may be opened, beside one that may not."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    scan = tmp_path / "allowed" / "scan"
    (scan / "color").mkdir(parents=True)
    (scan / "color" / "1.png").write_bytes(b"picture 1")
    (scan / "scan.json").write_text("{}")
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed-not" / "secret.txt").write_text(SECRET)
    return tmp_path


@pytest.fixture
def sources(place: Path) -> PinnedSources:
    return PinnedSources(place / "private")


def opened(place: Path, sources: PinnedSources, given: str) -> str:
    """Return everything that can be read of a path, as one text."""
    allowed = AllowedFolders([place / "allowed"])
    pinned = sources.pin(allowed, allowed.locate(given))
    files = [pinned] if pinned.is_file() else sorted(path for path in pinned.rglob("*") if path.is_file())
    return "\n".join(file.read_text() for file in files)


@pytest.mark.parametrize(
    "given",
    [
        "../outside/secret.txt",
        "scan/../../outside/secret.txt",
        "scan/color/../../../outside",
        "..",
        "{place}/outside/secret.txt",
        "{place}/allowed/../outside/secret.txt",
        # One folder's name begins with the other's.
        "{place}/allowed-not/secret.txt",
        "/etc/passwd",
        "/",
        "//etc/passwd",
        "/proc/self/environ",
        "/proc/self/root/etc/passwd",
        "/dev/fd/0",
        "~/.ssh/id_rsa",
        "~root/.bashrc",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "http://127.0.0.1:80/scan",
        "scan\0.png",
        "scan/color/1.png\0",
        "",
        "a" * 5000,
        "a" * 300,
        "\udcff",
        "scan\u202egnp.1",
        "SCAN",
        "scan/COLOR",
        "scan%2f..%2f..%2foutside",
        "..\\outside\\secret.txt",
        "scan/color/1.png/..",
    ],
)
def test_paths_that_lead_nowhere_inside_are_refused(place: Path, sources: PinnedSources, given: str) -> None:
    if given == "scan/color/1.png/..":
        # A file has no parent inside itself; where the system resolves it, it is the folder of the file.
        assert SECRET not in opened(place, sources, given)
        return
    with pytest.raises(SourceError):
        opened(place, sources, given.replace("{place}", str(place)))


def test_nothing_is_said_of_what_lies_outside(place: Path) -> None:
    allowed = AllowedFolders([place / "allowed"])
    (place / "allowed" / "way").symlink_to(place / "outside")

    def refusal(given: str) -> str:
        with pytest.raises(SourceError) as caught:
            allowed.locate(given)
        return str(caught.value).replace(given, "")

    assert refusal(f"{place}/outside/secret.txt") == refusal(f"{place}/outside/nothing.txt")
    assert refusal("way/secret.txt") == refusal("way/nothing.txt")


def test_what_lies_inside_is_opened_by_any_name_that_stays_inside(
    place: Path, sources: PinnedSources
) -> None:
    for given in ("scan/color/1.png", f"{place}/allowed/scan/color", "scan/../scan/./color"):
        assert opened(place, sources, given) == "picture 1"


def test_links_that_stay_inside_are_followed(place: Path, sources: PinnedSources) -> None:
    (place / "allowed" / "latest").symlink_to("scan")
    (place / "allowed" / "scan" / "again").symlink_to(place / "allowed" / "scan" / "color")

    assert opened(place, sources, "latest/color/1.png") == "picture 1"
    assert opened(place, sources, "latest").count("picture 1") == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda place: (place / "allowed" / "scan" / "x.txt").symlink_to(place / "outside" / "secret.txt"),
        lambda place: (place / "allowed" / "scan" / "x").symlink_to(place / "outside"),
        lambda place: (place / "allowed" / "scan" / "x").symlink_to("../../outside/secret.txt"),
        lambda place: (place / "allowed" / "scan" / "x").symlink_to("/etc/passwd"),
        lambda place: (place / "allowed" / "scan" / "x").symlink_to("/nowhere/at/all"),
        lambda place: (place / "allowed" / "scan" / "x").symlink_to("/proc/self/fd/0"),
    ],
)
def test_a_scan_with_a_link_out_of_it_is_refused(
    place: Path, sources: PinnedSources, make: Callable[[Path], None]
) -> None:
    make(place)

    with pytest.raises(SourceError, match="leads out"):
        opened(place, sources, "scan")


def test_a_link_out_is_refused_by_its_own_name_too(place: Path, sources: PinnedSources) -> None:
    (place / "allowed" / "x").symlink_to(place / "outside")

    for given in ("x", "x/secret.txt"):
        with pytest.raises(SourceError, match="outside"):
            opened(place, sources, given)


def test_links_in_circles_end(place: Path, sources: PinnedSources) -> None:
    (place / "allowed" / "scan" / "self").symlink_to("self")
    with pytest.raises(SourceError):
        opened(place, sources, "scan")
    (place / "allowed" / "scan" / "self").unlink()
    (place / "allowed" / "scan" / "up").symlink_to("..")
    with pytest.raises(SourceError, match="8 folders deep"):
        opened(place, sources, "scan")


def test_pipes_and_hidden_files_are_left_out(place: Path, sources: PinnedSources) -> None:
    os.mkfifo(place / "allowed" / "scan" / "color" / "2.png")
    (place / "allowed" / "scan" / ".env").write_text(SECRET)

    assert opened(place, sources, "scan/color") == "picture 1"
    assert SECRET not in opened(place, sources, "scan")


def test_too_many_files_are_refused(
    place: Path, sources: PinnedSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowed_folders, "MOST_ENTRIES", 3)

    with pytest.raises(SourceError, match="at most 3 files"):
        opened(place, sources, "scan")


def becomes_a_link(file: Path, outside: Path) -> None:
    file.unlink()
    file.symlink_to(outside / "secret.txt")


def lies_in_a_linked_folder(file: Path, outside: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.symlink_to(outside)
    (outside / file.name).write_text(SECRET)


def becomes_a_pipe(file: Path, outside: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def becomes_a_folder(file: Path, outside: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "copied"])
@pytest.mark.parametrize("swap", [becomes_a_link, lies_in_a_linked_folder, becomes_a_pipe, becomes_a_folder])
def test_what_becomes_a_link_between_the_check_and_the_opening_is_not_followed(
    place: Path,
    sources: PinnedSources,
    swap: Callable[[Path, Path], None],
    linked: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowed = AllowedFolders([place / "allowed"])
    found = allowed.locate("scan/color/1.png")
    if not linked:
        monkeypatch.setattr(os, "link", refuse)
    real = os.stat

    def swapped_after(
        name: str, *, dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> os.stat_result:
        """Look at the file; right after the last look somebody puts something else in its place."""
        looked = real(name, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        if name == "1.png":
            looks.append(name)
            if len(looks) == 2:
                monkeypatch.setattr(os, "stat", real)
                swap(place / "allowed" / "scan" / "color" / "1.png", place / "outside")
        return looked

    looks: list[str] = []
    monkeypatch.setattr(os, "stat", swapped_after)
    try:
        pinned = sources.pin(allowed, found)
    except SourceError:
        return
    # The folder was still open, and in it lies the file that was checked.
    assert pinned.read_text() == "picture 1"


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("given", ["scan/color/1.png", "scan/color"])
def test_a_folder_that_becomes_a_link_after_the_check_is_not_entered(
    place: Path, sources: PinnedSources, given: str
) -> None:
    allowed = AllowedFolders([place / "allowed"])
    found = allowed.locate(given)
    (place / "outside" / "color").mkdir()
    (place / "outside" / "color" / "1.png").write_text(SECRET)
    shutil.rmtree(place / "allowed" / "scan")
    (place / "allowed" / "scan").symlink_to(place / "outside")

    with pytest.raises(SourceError, match="cannot be opened"):
        sources.pin(allowed, found)


def test_what_was_pinned_stays_what_it_was(place: Path, sources: PinnedSources) -> None:
    allowed = AllowedFolders([place / "allowed"])
    pinned = sources.pin(allowed, allowed.locate("scan"))
    shutil.rmtree(place / "allowed" / "scan" / "color")
    (place / "allowed" / "scan" / "color").symlink_to(place / "outside")

    assert (pinned / "color" / "1.png").read_text() == "picture 1"
    assert not (pinned / "color").is_symlink()


def test_a_race_is_never_won(place: Path, sources: PinnedSources) -> None:
    """One thread swaps a file and a link to a secret, for as long as another opens it."""
    file, link = place / "allowed" / "scan" / "color" / "1.png", place / "allowed" / "link"
    over = threading.Event()

    def swaps() -> None:
        while not over.is_set():
            link.symlink_to(place / "outside" / "secret.txt")
            link.replace(file)
            other = place / "allowed" / "other"
            other.write_text("picture 1")
            other.replace(file)

    thread = threading.Thread(target=swaps)
    thread.start()
    seen = set()
    try:
        for _ in range(300):
            try:
                seen.add(opened(place, sources, "scan/color"))
            except SourceError:
                seen.add("refused")
    finally:
        over.set()
        thread.join()

    assert seen <= {"picture 1", "refused"}
    assert len(seen) == 2


def test_the_same_files_are_pinned_once_and_changed_ones_anew(place: Path, sources: PinnedSources) -> None:
    allowed = AllowedFolders([place / "allowed"])
    first = sources.pin(allowed, allowed.locate("scan"))
    again = sources.pin(allowed, allowed.locate("scan"))
    (place / "allowed" / "scan" / "color" / "1.png").unlink()
    (place / "allowed" / "scan" / "color" / "1.png").write_text("picture 2")
    changed = sources.pin(allowed, allowed.locate("scan"))

    assert first == again
    assert first.name == changed.name == "scan"
    assert (changed / "color" / "1.png").read_text() == "picture 2"


def test_what_cannot_be_linked_is_copied_within_bounds(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refuse)

    assert "picture 1" in opened(place, PinnedSources(place / "private"), "scan")
    with pytest.raises(SourceError, match="SPATIAL_AGENT_CACHE"):
        opened(place, PinnedSources(place / "private-2", most_copied_bytes=3), "scan")


def test_folders_of_a_client_only_narrow(place: Path) -> None:
    allowed = AllowedFolders([place / "allowed"])
    scan = place / "allowed" / "scan"

    assert allowed.narrowed([scan]).locate("scan/scan.json").path == scan / "scan.json"
    assert allowed.narrowed([place]).locate("scan").path == scan
    for roots in ([place / "outside"], [], [scan / "color"], [place / "allowed" / ".." / "outside"]):
        with pytest.raises(SourceError, match="outside"):
            allowed.narrowed(roots).locate("scan/scan.json")
    with pytest.raises(SourceError, match="outside"):
        allowed.narrowed([place / "outside"]).locate(str(place / "outside" / "secret.txt"))
    with pytest.raises(SourceError, match="outside"):
        allowed.narrowed([scan]).narrowed([place / "allowed"]).locate(str(place / "allowed"))


def test_a_narrowed_link_is_refused_within_a_scan(place: Path, sources: PinnedSources) -> None:
    (place / "allowed" / "other").mkdir()
    (place / "allowed" / "other" / "2.png").write_text("picture 2")
    (place / "allowed" / "scan" / "x").symlink_to("../other")
    narrow = AllowedFolders([place / "allowed"]).narrowed([place / "allowed" / "scan"])

    with pytest.raises(SourceError, match="leads out"):
        sources.pin(narrow, narrow.locate("scan"))


@pytest.mark.parametrize("folders", [[], ["nowhere"], ["scan.json"]])
def test_folders_have_to_be_there(place: Path, folders: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="folder"):
        AllowedFolders([place / "allowed" / "scan" / name for name in folders])


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    dead = tmp_path / "mcp" / "dead"
    dead.mkdir(parents=True)
    (dead / ".living").touch()
    return dead


def test_private_folders_go_with_their_process_and_those_of_the_dead_with_the_next(
    tmp_path: Path, left_behind: Path
) -> None:
    with private_folder(tmp_path / "mcp") as one, private_folder(tmp_path / "mcp") as other:
        assert one.is_dir()
        assert other.is_dir()
        assert not left_behind.exists()
        assert one.stat().st_mode & 0o777 == 0o700

    assert not one.exists()
    assert not other.exists()
