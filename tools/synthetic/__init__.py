"""Rooms with exact truth: ray-cast depth, masks and colour, realistic sensor noise, no weights.

They ship in the library so that users test with them as the project does. A `SyntheticRoom` has its
own world (+Z up, floor at z = 0, one corner of the floor at the origin); what a scan of it shows may
lie anywhere (``scan_from_room``). Truth is computed here by closed forms that share no code with
``tools.geometry``.
"""

if __name__ != "spatial_agent.tools.synthetic":
    raise ImportError(f"import spatial_agent.tools.synthetic, not {__name__}")

from spatial_agent.tools.synthetic.furniture import FURNITURE, SyntheticObject
from spatial_agent.tools.synthetic.noise import SensorNoise
from spatial_agent.tools.synthetic.room import SyntheticRoom
from spatial_agent.tools.synthetic.scan_folder import write_scan

__all__ = ["FURNITURE", "SensorNoise", "SyntheticObject", "SyntheticRoom", "write_scan"]
