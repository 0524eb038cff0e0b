"""Numbers and names as sentences: every measured number with its margin, every name with its article."""

import math

from spatial_agent.tools.scene import Measurement, SceneMap, SceneObject

UNIT_TEXT = {"m2": "m²", "cm2": "cm²", "ft2": "ft²", "deg": "°", "count": ""}
EXACT_DECIMALS = {"m": 2, "cm": 1, "mm": 0, "km": 5, "in": 1, "ft": 2, "m2": 2, "cm2": 0, "ft2": 1, "deg": 1}


def quantity(measurement: Measurement) -> str:
    """Return a measurement with unit and margin.

    >>> quantity(Measurement(1.524, "m", 1.493, 1.549, "surfaces"))
    '1.52 m (± 0.03 m)'
    >>> quantity(Measurement(1.5, "m", 1.4, None, "partly seen"))
    'at least 1.40 m (best estimate 1.50 m)'
    """
    decimals = decimals_of(measurement)
    unit = UNIT_TEXT.get(measurement.unit, measurement.unit)
    gap = "" if unit == "°" or not unit else " "
    text = f"{measurement.value:.{decimals}f}{gap}{unit}"
    if measurement.exact:
        return text
    if measurement.margin is not None:
        return f"{text} (± {measurement.margin:.{decimals}f}{gap}{unit})"
    if measurement.low is not None:
        return f"at least {measurement.low:.{decimals}f}{gap}{unit} (best estimate {text})"
    if measurement.high is not None:
        return f"at most {measurement.high:.{decimals}f}{gap}{unit} (best estimate {text})"
    return f"about {text} (margin unknown)"


def decimals_of(measurement: Measurement) -> int:
    """Return how many decimals the margin allows: its first digit is the last one shown."""
    if measurement.exact or not measurement.margin:
        return EXACT_DECIMALS.get(measurement.unit, 2)
    return min(max(-math.floor(math.log10(measurement.margin)), 0), 4)


def name_in(scene: SceneMap, item: SceneObject) -> str:
    """Return the label where it is the only one in the scene, else the id."""
    same = [other for other in scene.objects if other.label == item.label]
    return item.label if len(same) == 1 else item.id


def capitalised(text: str) -> str:
    """Return a text with its first letter capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def the(scene: SceneMap, item: SceneObject) -> str:
    """Return the name with its article: ``the sofa``, but ``chair-2``."""
    name = name_in(scene, item)
    return name if name == item.id else f"the {name}"
