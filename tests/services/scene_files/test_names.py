"""Names of uploaded files: none leads out of the folder, none takes the place of another."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.services.scene_files.errors import UploadError
from spatial_agent.services.scene_files.names import NamesInUse, clean_name, in_words


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("0001.png", "0001.png"),
        ("scan/depth/0001.png", "scan/depth/0001.png"),
        ("scan\\depth\\0001.png", "scan/depth/0001.png"),
        ("./a//b/./c.png", "a/b/c.png"),
        ("Küche/Bild.jpg", "Küche/Bild.jpg"),
        # Written as letter and accent, as some computers do.
        ("Ku\u0308che.jpg", "Küche.jpg"),
        ("a b (1).png", "a b (1).png"),
        ("frame..png", "frame..png"),
    ],
)
def test_sensible_names_are_taken(given: str, cleaned: str) -> None:
    assert clean_name(given) == PurePosixPath(cleaned)


@pytest.mark.parametrize(
    "given",
    [
        "",
        ".",
        "/",
        "/etc/passwd",
        "\\\\server\\share\\a.png",
        "C:\\a.png",
        "c:a.png",
        "../a.png",
        "a/../../b.png",
        "a\\..\\b.png",
        "..",
        "a.png\0.txt",
        "a\nb.png",
        "a\x1b[31m.png",
        # Turns the direction of text: shown as "exe.png".
        "\u202egnp.exe",
        "a\u200b.png",
        "\ud800.png",
        "x" * 256 + ".png",
        "é" * 128 + ".png",
        "/".join(["folder"] * 17),
        "/".join(["x" * 250] * 5),
    ],
)
def test_names_that_lead_elsewhere_or_cannot_be_are_refused(given: str) -> None:
    with pytest.raises(UploadError, match="rename it"):
        clean_name(given)


@pytest.mark.parametrize(
    "given", [".DS_Store", "a/.git/config", "__MACOSX/a/._b.png", "scan/Thumbs.db", "..."]
)
def test_litter_is_left_out(given: str) -> None:
    assert clean_name(given) is None


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["..", ".", "a", "\\", "/", "", "C:", "\0"]), max_size=9).map("/".join)
)
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    refusals: list[UploadError] = []
    cleaned = None
    try:
        cleaned = clean_name(name)
    except UploadError as error:
        refusals.append(error)
    assert all(str(error).isprintable() and str(error).isascii() for error in refusals)
    if cleaned is not None:
        root = Path("/srv/scene")
        assert (root / cleaned).resolve().is_relative_to(root)
        assert root / cleaned != root
        assert not any(part.startswith(".") for part in cleaned.parts)


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "a.png"),
        ("a.png", "A.PNG"),
        ("depth/1.png", "Depth/1.png"),
        # The ligature and the letters, the wide letter and the narrow one.
        ("o\ufb03ce.png", "office.png"),
        ("\uff41.png", "a.png"),
        ("straße.png", "STRASSE.png"),
        # A file where a folder is, and the other way round.
        ("a/b.png", "a"),
        ("a", "A/b.png"),
    ],
)
def test_names_that_some_disk_takes_for_the_same_are_refused(names: tuple[str, str]) -> None:
    in_use = NamesInUse()
    in_use.add(PurePosixPath(names[0]))
    with pytest.raises(UploadError, match="every file once"):
        in_use.add(PurePosixPath(names[1]))


def test_files_of_one_folder_are_all_taken() -> None:
    in_use = NamesInUse()
    for name in ("a/1.png", "a/2.png", "b/1.png", "1.png", "a/a/1.png"):
        in_use.add(PurePosixPath(name))


def test_names_are_shown_on_one_short_line() -> None:
    shown = in_words("\u202e" + "x" * 5000 + "\n")
    assert len(shown) <= 80
    assert shown.isprintable()
    assert shown.isascii()
