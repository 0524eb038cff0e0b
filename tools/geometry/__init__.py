"""Pure functions on scene values. This page is the conventions; every module keeps to them.

============  ================================================================================
units         Metres, square metres, radians and seconds; a bare number says so in its name
              (``_m``, ``_m2``, ``_rad``, ``_s``). The exception is what people read: directions
              are degrees (``_deg``) and benchmark sizes centimetres (``_cm``).
arrays        numpy float64; points are rows, ``xyz_m`` is (N, 3) and ``xy_m`` (N, 2).
world         Right-handed, +Z up wherever gravity is known; ``xy`` is the floor plan.
camera        x right, y down, z forward; pose is ``world_from_camera``; depth is z-depth, not
              ray length; integer pixel coordinates are pixel centres.
transforms    ``target_from_source``: names cancel when read from right to left.
boxes         ``extent_m`` are full edges, columns of ``world_from_box`` the axes; any proper
              rotation, never refitted. A box is *upright* when one axis is vertical to 0.5°.
angles        Signed, counter-clockwise seen from above: left positive, right negative, ahead 0,
              in (−180°, 180°]. Right is facing × up.
viewpoint     "Left of" does not exist without one. An observer at A facing B stands at A's
              centroid and looks towards B's, projected on the floor; closer than 1 cm
              horizontally there is no direction and `ViewpointError` is raised. A camera's or an
              object's own left is counted from its forward direction; within 5° of vertical it
              has none. An object's own left is an occupant's left.
boundaries    A sector has its clockwise edge and not its counter-clockwise one, so 0° is front-left
              and 90° back-left; "back" has both its edges: it begins at 135° to either side.
overlap       The distance between overlapping boxes is 0.
scale         Nothing here knows whether a metre is a metre: callers ask
              `SceneMap.require_metric` and `SceneMap.require_up` first.
chance        Nothing is random without a seed in the signature.
============  ================================================================================

Modules: ``transforms``, ``projection``, ``boxes``, ``distance``, ``direction``, ``size``, ``room``,
``order``, ``route``; ``benchmark`` holds VSI-Bench's own operators, to the letter, under its own names.
"""

if __name__ != "spatial_agent.tools.geometry":
    raise ImportError(f"import spatial_agent.tools.geometry, not {__name__}")
