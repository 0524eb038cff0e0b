"""Focal lengths of photographs, against angles of view worked out by hand."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from spatial_agent.tools.media import open_source
from spatial_agent.tools.media.exif import focal_length
from spatial_agent.tools.scene import CameraIntrinsics

FOCAL, FILM, PLANE_X, UNIT, WIDTH, HEIGHT = 0x920A, 0xA405, 0xA20E, 0xA210, 0xA002, 0xA003


def photograph(
    path: Path, tags: dict[int, Any], size: tuple[int, int] = (400, 300), orientation: int = 1
) -> Path:
    exif = Image.Exif()
    exif[274] = orientation
    exif.get_ifd(0x8769).update(tags)
    Image.new("RGB", size, (90, 90, 90)).save(path, exif=exif)
    return path


def rational(value: str) -> IFDRational:
    return IFDRational(Fraction(value))


def test_a_35_mm_equivalent_gives_the_same_angle_across_the_diagonal(tmp_path: Path) -> None:
    found = focal_length(photograph(tmp_path / "a.jpg", {FILM: 26}))
    assert found is not None
    # 500 px of diagonal, 36 mm x 24 mm of film.
    film_deg = 2 * np.degrees(np.arctan(np.hypot(36, 24) / 2 / 26))
    assert 2 * np.degrees(np.arctan(500 / 2 / found.px)) == pytest.approx(film_deg)
    assert found.px == pytest.approx(300.5, abs=0.1)
    assert 0.02 < found.error < 0.1


def test_pixels_per_millimetre_of_the_sensor_give_it_too(tmp_path: Path) -> None:
    # A 22.5 mm wide sensor of 4000 px behind 18 mm; the file was shrunk to a tenth.
    tags = {FOCAL: rational("18"), PLANE_X: rational("40000/225"), UNIT: 4, WIDTH: 4000, HEIGHT: 3000}
    found = focal_length(photograph(tmp_path / "a.jpg", tags))
    assert found is not None
    assert found.px == pytest.approx(18 / 22.5 * 400)
    inches = tags | {PLANE_X: rational("1016000/225"), UNIT: 2}
    again = focal_length(photograph(tmp_path / "b.jpg", inches))
    assert again is not None
    assert again.px == pytest.approx(found.px, rel=1e-4)


def test_a_cropped_picture_tells_nothing_by_its_sensor(tmp_path: Path) -> None:
    tags = {FOCAL: rational("18"), PLANE_X: rational("40000/225"), UNIT: 4, WIDTH: 4000, HEIGHT: 4000}
    assert focal_length(photograph(tmp_path / "a.jpg", tags)) is None


@pytest.mark.parametrize("tags", [{}, {FILM: 0}, {FILM: 48388}, {FILM: 1}, {FOCAL: rational("4")}])
def test_what_cannot_be_right_is_not_believed(tags: dict[int, Any], tmp_path: Path) -> None:
    assert focal_length(photograph(tmp_path / "a.jpg", tags)) is None


def test_a_png_has_no_focal_length(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert focal_length(tmp_path / "a.png") is None


def test_an_opened_photograph_has_the_camera_of_its_upright_picture(tmp_path: Path) -> None:
    path = photograph(tmp_path / "phone.jpg", {FILM: 26}, orientation=6)
    frames = open_source(path)
    (header,) = frames.headers
    camera = header.intrinsics
    assert camera is not None
    assert (camera.width, camera.height) == (300, 400)
    assert (camera.cx, camera.cy) == (149.5, 199.5)
    assert camera.fx == camera.fy == pytest.approx(300.5, abs=0.1)
    assert header.focal_error == 0.05
    assert frames.load(0).rgb is not None
    assert any("EXIF" in note and "26 mm" in note and "5%" in note for note in frames.notes)
    assert "no depth, poses:" in frames.notes[-1]


def test_given_intrinsics_beat_what_the_file_says(tmp_path: Path) -> None:
    path = photograph(tmp_path / "phone.jpg", {FILM: 26})
    camera = CameraIntrinsics(333.0, 333.0, 199.5, 149.5, 400, 300)
    (header,) = open_source(path, intrinsics=camera).headers
    assert (header.intrinsics, header.focal_error) == (camera, 0.0)
