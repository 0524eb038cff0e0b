"""Pictures of answers, and scenes in the formats other programs read."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.executor import is_own
from spatial_agent.agent.state import LoadedScene
from spatial_agent.prompts.marked_frame import best_camera, draw_marked_frame
from spatial_agent.tools.drawing.canvas import INK, PAPER
from spatial_agent.tools.drawing.top_down import draw_top_down
from spatial_agent.tools.errors import InvalidValueError, SourceError
from spatial_agent.tools.geometry.transforms import invert_rigid
from spatial_agent.tools.mapping.export import write_glb, write_mesh, write_ply
from spatial_agent.tools.mapping.scene_file import write_scene
from spatial_agent.tools.scene import FrameSet, SceneMap, TriangleMesh
from spatial_agent.tools.whole_file import write_whole

HEIGHT_PX = 720


def answer_picture(loaded: LoadedScene, answer: Answer) -> Image.Image:
    """Return the picture of an answer: the best frame beside the top-down map, both marked.

    Scenes without frames get the map alone, scenes without gravity the frame alone.
    """
    # Second routes check the answer; drawn beside it they would only look like another one.
    own = [item for item in answer.evidence if is_own(item["call_id"])]
    marks = [mark for item in own for mark in item["marks"]]
    ids = list(dict.fromkeys(name for item in own for name in item["objects"]))
    panels = []
    camera = best_camera(loaded.scene, ids)
    if camera is not None and loaded.frames is not None:
        rgb = loaded.frames.load(camera.index, depth=False, instances=False).rgb
        if rgb is not None:
            panels.append(draw_marked_frame(loaded.scene, camera, rgb, ids, marks))
    if loaded.scene.up is not None:
        panels.append(draw_top_down(loaded.scene, marks, highlight=ids, size_px=HEIGHT_PX))
    return _captioned(panels, caption(answer, [item["claim"] for item in own]))


def caption(answer: Answer, claims: Sequence[str]) -> str:
    """Return the answer as a sentence: a bare letter or number with what it rests on."""
    if answer.abstained or not claims or claims[0] in answer.text:
        return answer.text
    return f"{answer.text}  -  {' '.join(claims)}"


def write_answer_picture(loaded: LoadedScene, answer: Answer, path: Path) -> None:
    """Write the picture of an answer; the file appears whole or not at all."""
    picture = answer_picture(loaded, answer)
    write_whole(path, lambda partial: picture.save(partial, format="PNG"))


def png_of(picture: Image.Image) -> bytes:
    """Return a picture as PNG."""
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def reconstructed(frames: FrameSet | None) -> TriangleMesh:
    """Return the surfaces of a scan as a mesh.

    Raises:
        SourceError: If there is no scan, or it has no depth or poses.
    """
    from spatial_agent.tools.experts.reconstruction import mesh

    if frames is None:
        raise SourceError("a scene file has no frames to make a mesh of; give the scan itself")
    return mesh(frames)


def write_scene_folder(loaded: LoadedScene, folder: Path, *, mesh: TriangleMesh | None = None) -> list[Path]:
    """Write ``scene.json``, and ``cloud.ply``, ``scene.glb`` and ``map.png`` where they would hold something.

    Args:
        loaded: The scene and its frames.
        folder: Made where it does not exist.
        mesh: Its surfaces in the scan's world, for ``mesh.ply``.

    Returns:
        The files written.
    """
    scene = loaded.scene
    folder.mkdir(parents=True, exist_ok=True)
    write_scene(scene, folder / "scene.json")
    written = [folder / "scene.json"]
    wanted: list[tuple[str, bool, Callable[[Path], Any]]] = [
        ("cloud.ply", scene.cloud is not None and len(scene.cloud) > 0, lambda path: write_ply(scene, path)),
        ("mesh.ply", mesh is not None, lambda path: write_mesh(_in_scene(mesh, scene), path)),
        ("scene.glb", bool(scene.objects), lambda path: write_glb(scene, path)),
        ("map.png", scene.up is not None, lambda path: draw_top_down(scene).save(path, format="PNG")),
    ]
    for name, has_content, write in wanted:
        if has_content:
            write_whole(folder / name, write)
            written.append(folder / name)
    return written


def _in_scene(mesh: TriangleMesh | None, scene: SceneMap) -> TriangleMesh:
    if mesh is None or scene.scan_from_scene is None:
        raise InvalidValueError("a mesh belongs to a scan; this scene was given without one")
    return mesh.moved(invert_rigid(scene.scan_from_scene))


def _captioned(panels: list[Image.Image], text: str) -> Image.Image:
    scaled = [
        panel.resize((round(panel.width * HEIGHT_PX / panel.height), HEIGHT_PX), Image.Resampling.LANCZOS)
        for panel in panels
    ]
    width = max(sum(panel.width for panel in scaled), HEIGHT_PX)
    font = ImageFont.load_default(20)
    lines = wrap(text, max(int(width / 10.5), 20))
    caption_px = 16 + 28 * len(lines)
    picture = Image.new("RGB", (width, HEIGHT_PX + caption_px), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((14, 10 + 28 * number), line, font=font, fill=INK)
    left = 0
    for panel in scaled:
        picture.paste(panel, (left, caption_px))
        left += panel.width
    return picture
