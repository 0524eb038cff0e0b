"""Whole prompts kept as files, to be read by eye whenever they change.

Write them anew with ``python -m tests.prompts.snapshot_prompts`` from the top of the repository. A template
whose words changed must have a higher version than before, else nothing is written.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spatial_agent.prompts.spatial import SpatialPrompt, compose
from spatial_agent.prompts.template import Template
from spatial_agent.tools.scene import Picture
from tests.prompts.rooms import AT_LEAST, DISTANCE, MEASURED, NO_UP, RELATIVE, SIDE, evidence, known
from tests.prompts.test_compose import injected

FOLDER = Path(__file__).parent / "snapshots"
VERSIONS = FOLDER / "template_versions.txt"
OBSERVER = ("sofa-1", "door-1")
FRAME = Picture(np.zeros((48, 64, 3), np.uint8), "Frame 4. Marked: 0 sofa-1, 2 lamp-1.")
FAILED = ({"tool": "room", "message": "this scene has no floor plan"},)
#: The templates that spatial prompts are made of.
TEMPLATES = (
    "cognitive_map",
    "conclusion",
    "egocentric",
    "measurements",
    "pictures",
    "relations",
    "spatial_prompt",
    "task_card",
    "trajectory",
    "unknown",
)


def _everything() -> SpatialPrompt:
    pictures = dict.fromkeys(("marked_frames", "cognitive_map", "novel_view"), (FRAME,))
    return compose(
        known(
            "open",
            MEASURED,
            evidence=evidence(DISTANCE, AT_LEAST, SIDE),
            weak={"e1": "the second route gives 1.7 m"},
            failures=FAILED,
            conclusion="The sofa is 1.52 m (± 0.03 m) from the lamp.",
            entities=("sofa-1", "lamp-1", "shelf-1"),
            observer=OBSERVER,
            pictures=pictures,
        )
    )


PROMPTS: dict[str, Callable[[], SpatialPrompt]] = {
    "everything": _everything,
    "distance": lambda: compose(known("distance", MEASURED)),
    "direction": lambda: compose(known("direction", observer=OBSERVER, evidence=evidence(SIDE))),
    "direction_short": lambda: compose(
        known("direction", observer=OBSERVER, evidence=evidence(SIDE)), most_tokens=420
    ),
    "order": lambda: compose(known("order", evidence=())),
    "relative": lambda: compose(known("open", RELATIVE, evidence=(), observer=OBSERVER)),
    "no_up": lambda: compose(known("direction", NO_UP, evidence=(), observer=OBSERVER, failures=FAILED)),
    "no_scene": lambda: compose(known("open", None, evidence=(), pictures={"marked_frames": (FRAME,)})),
    "injected": lambda: compose(dataclasses.replace(injected(), observer=OBSERVER)),
}


def template_versions() -> str:
    """Return each template with its version and a digest of its words."""
    loaded = [Template.load(name) for name in TEMPLATES]
    digests = [hashlib.sha256(template.text.encode()).hexdigest()[:16] for template in loaded]
    lines = (f"{one.name} {one.version} {digest}" for one, digest in zip(loaded, digests, strict=True))
    return "\n".join(lines) + "\n"


def unversioned_changes(before: str, after: str) -> list[str]:
    """Return the templates whose words changed while their version did not rise."""
    old = {name: (int(version), digest) for name, version, digest in map(str.split, before.splitlines())}
    new = {name: (int(version), digest) for name, version, digest in map(str.split, after.splitlines())}
    return [
        name
        for name, (version, digest) in new.items()
        if name in old and digest != old[name][1] and version <= old[name][0]
    ]


def main() -> None:
    """Write all snapshots."""
    FOLDER.mkdir(exist_ok=True)
    versions = template_versions()
    if VERSIONS.exists() and (names := unversioned_changes(VERSIONS.read_text("utf-8"), versions)):
        raise SystemExit(f"raise the version in the first line of: {', '.join(names)}")
    VERSIONS.write_text(versions, "utf-8")
    for name, made in PROMPTS.items():
        (FOLDER / f"{name}.md").write_text(made().text + "\n", "utf-8")


if __name__ == "__main__":
    main()
