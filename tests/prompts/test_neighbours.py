"""Neighbours are the nearest by their boxes, whichever boxes were looked at."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.prompts.relations import NEAREST, triples
from spatial_agent.tools.geometry.distance import box_distance
from spatial_agent.tools.scene import OrientedBox, SceneMap, SceneObject


@given(st.integers(0, 10_000), st.integers(2, 12))
def test_neighbours_are_the_nearest_of_all(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    items = tuple(
        SceneObject(
            f"thing-{number}",
            "thing",
            OrientedBox.upright(random.uniform(-3, 3, 3), random.uniform(0.05, 3, 3), random.uniform(0, 3)),
        )
        for number in range(count)
    )
    scene = SceneMap(items, scale="relative")

    gaps_m = {item.id: box_distance(items[0].box, item.box) for item in items[1:]}
    nearest = sorted(gaps_m, key=lambda name: (gaps_m[name], name))[:NEAREST]

    assert [edge.object for edge in triples(scene, ["thing-0"])] == nearest
