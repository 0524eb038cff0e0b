"""A program for the sandbox: the tallest thing in the room, and the gap between it and the sofa.

Run it with ``spatial-agent run examples/tallest_and_gap.py examples/scans/living_room``. It sees ``scene``,
``frames``, ``tools``, ``show`` and ``answer``, and no file, network or other process.
"""

# The sandbox gives programs their names.
# ruff: noqa: F821
# mypy: ignore-errors

tallest = max(scene.objects, key=lambda item: item.box.centre_m[2] + item.box.extent_m[2] / 2)
print("tallest:", tallest.label)

# A tool call goes back to the agent that runs the program, and is counted against its budget.
gap = tools.distance(scene="$scene", a=tallest.id, b="sofa")
print(gap.claim)

# The program's own geometry, to hold it against: centre to centre is never shorter.
sofa = next(item for item in scene.objects if item.label == "sofa")
centres = geometry.distance.centre_distance(tallest.box, sofa.box)
print(f"centre to centre: {centres:.1f} m")

answer(gap.value, unit=gap.unit, low=gap.low, high=gap.high)
