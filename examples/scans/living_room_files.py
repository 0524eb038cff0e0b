"""The files of the sample scan, from the passes that Blender rendered."""

import json
from pathlib import Path

import numpy as np
from living_room_layout import FOCAL_PX, FRAME_STEP_S, ITEMS, SIZE_PX, camera_poses
from PIL import Image

DEPTH_SCALE_M = 0.001


def pack(work: Path, out: Path) -> None:
    """Turn the rendered passes into the scan's files and write `scan.json`."""
    import OpenEXR

    for name in ("color", "depth", "instances"):
        (out / name).mkdir(parents=True, exist_ok=True)
    frames = []
    for k, pose in enumerate(camera_poses()):
        with OpenEXR.File(str(work / "geometry" / f"{k:04d}.exr"), separate_channels=True) as file:
            channels = file.channels()
            depth = next(c.pixels for n, c in channels.items() if n.endswith("Depth.Z"))
            ids = next(c.pixels for n, c in channels.items() if n.endswith("IndexOB.X"))
            millimetres = np.where(depth < 60.0, np.rint(depth / DEPTH_SCALE_M), 0).astype(np.uint16)
            Image.fromarray(millimetres).save(out / "depth" / f"{k:04d}.png", optimize=True)
            Image.fromarray(np.rint(ids).astype(np.uint16)).save(
                out / "instances" / f"{k:04d}.png", optimize=True
            )
        picture = Image.open(work / "color" / f"{k:04d}.png").convert("RGB")
        picture.save(out / "color" / f"{k:04d}.jpg", quality=86)
        width, height = picture.size
        focal = FOCAL_PX * width / SIZE_PX[0]
        lens = {"fx": focal, "fy": focal, "cx": (width - 1) / 2, "cy": (height - 1) / 2}
        frame: dict[str, object] = {
            "color": f"color/{k:04d}.jpg",
            "depth": f"depth/{k:04d}.png",
            "instances": f"instances/{k:04d}.png",
        }
        frame["world_from_camera"] = np.round(pose, 9).tolist()
        frame["intrinsics"] = {**lens, "width": width, "height": height}
        frame["time_s"] = k * FRAME_STEP_S
        frames.append(frame)
    scan = {"format": "spatial-agent/scan@1", "gravity": [0, 0, -1], "depth_scale_m": DEPTH_SCALE_M}
    scan["instances"] = {str(k): item.label for k, item in enumerate(ITEMS, start=1)}
    scan["frames"] = frames
    (out / "scan.json").write_text(json.dumps(scan, indent=1) + "\n")
