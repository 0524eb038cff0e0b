"""A small room whose every place was written down by hand, and what is known of questions about it.

Somebody at the sofa who faces the door looks along +y, so x is to their right and y ahead::

    y
    3 ......... door ...........
    1.2 ................ lamp ..     1.2 m forward, 0.9 m right
    0 ......... sofa ...........
   -1 ........................ shelf (cut off by the border of every image)
   -2 .. table, vase on it .....     2 m back, 1.5 m left
       -1.5      0       0.9   2  x
"""

import dataclasses

import numpy as np

from spatial_agent.prompts.spatial import Known, TaskCard
from spatial_agent.tools.contract import Evidence, Finding
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    Provenance,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)

INTRINSICS = CameraIntrinsics(300, 300, 159.5, 119.5, 320, 240)
CUT_OFF = Provenance((0, 4, 9), 5000, 800, 0.01, (0.9, 0.0, 0.9, 0.4, 0.0, 0.9), cut_off=True)


def thing(
    name: str, x: float, y: float, *, bottom: float = 0.0, size: float = 0.4, first: int | None = 0
) -> SceneObject:
    """Return a given cube at a place on the floor plan."""
    box = OrientedBox.upright(np.array([x, y, bottom + size / 2]), np.full(3, size))
    return SceneObject(name, name.rpartition("-")[0], box, first_seen_frame=first)


def camera(index: int, x: float, y: float) -> SceneCamera:
    """Return a level camera 1.5 m high that looks along +y."""
    pose = np.array([[1.0, 0, 0, x], [0, 0, 1, y], [0, -1, 0, 1.5], [0, 0, 0, 1]])
    return SceneCamera(index, INTRINSICS, CameraPose(pose))


ROOM = SceneMap(
    objects=(
        thing("sofa-1", 0, 0),
        thing("door-1", 0, 3, first=4),
        thing("lamp-1", 0.9, 1.2),
        thing("table-1", -1.5, -2, size=0.7, first=9),
        thing("vase-1", -1.5, -2, bottom=0.7, size=0.2, first=9),
        dataclasses.replace(thing("shelf-1", 2, -1, first=None), provenance=CUT_OFF),
    ),
    # Chosen so that no object lies on the border of a cell: the grid begins at (-4.1, -4.1), cells of 0.8 m.
    room=Room(48.0, np.array([[-3.1, -4.1], [2.9, -4.1], [2.9, 3.9], [-3.1, 3.9]])),
    cameras=(camera(0, 0, -2), camera(4, 0, -1), camera(9, 1.0, -1)),
    scene_id="by-hand",
)
MEASURED = dataclasses.replace(ROOM, quality=SceneQuality(0.01, 0.005, 0.002, 0.0))
RELATIVE = dataclasses.replace(ROOM, scale="relative")
NO_UP = dataclasses.replace(ROOM, up=None)


def mirrored(scene: SceneMap) -> SceneMap:
    """Return a scene as a mirror at x = 0 shows it: upright boxes, no surfaces."""
    flip = np.array([-1.0, 1.0, 1.0])
    return dataclasses.replace(
        scene,
        objects=tuple(
            dataclasses.replace(
                item, box=OrientedBox(item.box.centre_m * flip, item.box.extent_m, item.box.world_from_box)
            )
            for item in scene.objects
        ),
        cameras=(),
        room=None
        if scene.room is None or scene.room.polygon_m is None
        else Room(scene.room.area_m2, scene.room.polygon_m[::-1] * flip[:2]),
    )


DISTANCE = Finding(
    claim="The sofa is 1.52 m (± 0.03 m) from the lamp, surface to surface.",
    value=1.524,
    unit="m",
    low=1.493,
    high=1.549,
    definition="distance.surface",
    objects=("sofa-1", "lamp-1"),
)
AT_LEAST = Finding(
    claim="The shelf is at least 1.4 m wide.",
    value=1.5,
    unit="m",
    low=1.4,
    quality="weak",
    why_weak="one end of the interval is open: part of the object was never seen",
    objects=("shelf-1",),
)
SIDE = Finding(
    claim="Standing at the sofa, facing the door, the lamp is front-right (37° to the right, ± 3°).",
    value="front-right",
    borderline="close: the runner-up is back-right; the angle is 2° from that boundary, with a margin of 3°",
    objects=("sofa-1", "door-1", "lamp-1"),
)


def evidence(*findings: Finding) -> tuple[Evidence, ...]:
    """Return findings as the evidence e1, e2, ..."""
    return tuple(
        Evidence(f"e{number}", f"c{number}", "distance", finding)
        for number, finding in enumerate(findings, start=1)
    )


def known(intent: str = "distance", scene: SceneMap | None = ROOM, **more: object) -> Known:
    """Return what is known of a question about the sofa and the lamp."""
    card = TaskCard(
        "How far is the sofa from the lamp?", intent, "number", entities=("sofa", "lamp"), unit="m"
    )
    basis = Known(card, scene, evidence(DISTANCE), entities=("sofa-1", "lamp-1"))
    return dataclasses.replace(basis, **more)  # type: ignore[arg-type]
