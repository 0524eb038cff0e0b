"""Single images and folders of images: no geometry, but upright, in order and honest about it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media import check_geometry, open_source
from spatial_agent.tools.scene import CameraIntrinsics


def grey(path: Path, level: int, size: tuple[int, int] = (40, 30)) -> Path:
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def test_an_image_opens_and_says_what_it_lacks(tmp_path: Path) -> None:
    frames = open_source(grey(tmp_path / "room.png", 7))
    assert (frames.name, frames.layout, len(frames)) == ("room.png", "image", 1)
    assert not frames.has_depth
    assert not frames.has_poses
    for word in ("no depth, poses, intrinsics", "estimated"):
        assert word in frames.notes[-1]
    rgb = frames.load(0).rgb
    assert rgb is not None
    assert rgb.shape == (30, 40, 3)
    assert (rgb == 7).all()
    assert check_geometry(frames) == ()


def test_a_folder_of_images_is_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        grey(tmp_path / f"img{number}.jpg", number)
    (tmp_path / ".DS_Store").write_text("x")
    grey(tmp_path / "._img2.png", 2)
    frames = open_source(tmp_path)
    assert [header.name for header in frames.headers] == ["img1.jpg", "img9.jpg", "img10.jpg"]


def test_16_bit_images_in_a_bare_folder_are_left_out_and_said(tmp_path: Path) -> None:
    grey(tmp_path / "a.png", 1)
    Image.new("I;16", (40, 30)).save(tmp_path / "b.png")
    frames = open_source(tmp_path)
    assert len(frames) == 1
    assert any("1 16-bit depth image(s) were left out" in note for note in frames.notes)
    (tmp_path / "a.png").unlink()
    with pytest.raises(SourceError, match="16-bit depth only"):
        open_source(tmp_path)


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :, 0] = 250
    exif = Image.Exif()
    exif[274] = 6  # the stored top is the right-hand side of the upright picture
    Image.fromarray(pixels).save(tmp_path / "phone.jpg", exif=exif)
    rgb = open_source(tmp_path / "phone.jpg").load(0).rgb
    assert rgb is not None
    assert rgb.shape == (48, 32, 3)
    assert rgb[:, 20:, 0].min() > 200
    assert rgb[:, :12, 0].max() < 50


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "LA"])
def test_every_kind_of_picture_becomes_colour(mode: str, tmp_path: Path) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    picture = Image.new("RGB", (8, 4), (255, 255, 255)).convert("L" if mode == "LA" else mode).convert(mode)
    if mode == "P":
        picture.info["transparency"] = b"\x00\x80"
    picture.save(tmp_path / f"x.{suffix}")
    rgb = open_source(tmp_path / f"x.{suffix}").load(0).rgb
    assert rgb is not None
    assert rgb.shape == (4, 8, 3)


def test_given_intrinsics_must_fit_the_image(tmp_path: Path) -> None:
    path = grey(tmp_path / "room.png", 7)
    camera = CameraIntrinsics(50.0, 50.0, 20.0, 15.0, 40, 30)
    assert open_source(path, intrinsics=camera).headers[0].intrinsics == camera
    with pytest.raises(SourceError, match=r"room\.png: colour is 40x30"):
        open_source(path, intrinsics=CameraIntrinsics(50.0, 50.0, 20.0, 15.0, 80, 60))


@pytest.mark.parametrize("content", [b"", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n\0\0"])
def test_what_is_no_image_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "room.png").write_bytes(content)
    with pytest.raises(SourceError, match=r"room\.png"):
        open_source(tmp_path / "room.png")
