"""What all ultralytics models share: opened without installing, fetching or reporting anything.

Ultralytics, and its YOLO weights with it, is AGPL-3.0; nothing here imports it before weights are opened.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError, ToolUnavailableError
from spatial_agent.tools.experts.open_vocabulary import TextQuery
from spatial_agent.tools.experts.pretrained import BYTES_PER_PARAMETER
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.scene import Detections

Task = Literal["detect", "segment"]


@dataclass(frozen=True, eq=False)
class Request:
    """What one call asks of a model.

    Attributes:
        rgb: Shape (H, W, 3) uint8.
        classes: Numbers of the classes that are looked for.
        confidence: Detections below this score are dropped.
    """

    rgb: NDArray[np.uint8]
    classes: tuple[int, ...]
    confidence: float

    @property
    def batch_key(self) -> tuple[object, ...]:
        """What requests of one batch must share to give what they give alone."""
        return (self.rgb.shape, self.classes, self.confidence)


def yolo_weights(name: str, parameters: int | None = None) -> Weights:
    """Declare weights of ultralytics, which are put into the weights folder by hand.

    Args:
        name: Name of the file.
        parameters: Counted on the architecture, or None where nobody did.
    """
    known_gb = None if parameters is None else round(BYTES_PER_PARAMETER * 1e-9 * parameters, 2)
    return Weights(
        name=name,
        source=f"file:{name}",
        licence="AGPL-3.0",
        files=(name,),
        parameters=parameters,
        # LiteRT runs on processors.
        vram_gb=0.0 if name.endswith(".tflite") else known_gb,
        vram_basis="unknown" if parameters is None else "parameters",
    )


def checked_weights(weights: Path) -> Path:
    """Return the path if a file is there, since ultralytics would look for a missing one in the network.

    Raises:
        ConfigurationError: If there is none.
    """
    if not weights.is_file():
        raise ConfigurationError(f"no YOLO weights at {weights}; give the path of a weights file")
    return weights


def open_model(weights: Path, task: Task) -> Any:  # noqa: ANN401 - ultralytics is an optional extra
    """Return an ultralytics model of any kind: YOLO, YOLO-World, YOLOE; what `.pt` files hold decides.

    Args:
        weights: A weights file; of `.pt` files only what ultralytics itself defines is unpickled.
        task: What the weights are for.

    Raises:
        ToolUnavailableError: If ultralytics, or what these weights run with, is not installed.
    """
    install()
    _keep_offline()
    return _yolo_class()(weights, task=task, verbose=False)


def predict(model: Any, requests: Sequence[Request], device: str) -> list[Detections]:  # noqa: ANN401
    """Run a model on requests of one `Request.batch_key`.

    Returns:
        Boxes with labels in lower case, and masks of the size of the image where the model gives them.
    """
    first = requests[0]
    results = model.predict(
        [np.ascontiguousarray(request.rgb[..., ::-1]) for request in requests],
        conf=first.confidence,
        classes=list(first.classes),
        retina_masks=True,
        device=device,
        quantize=16 if device.startswith("cuda") else None,
        verbose=False,
    )
    return [_detections(result, model.task) for result in results]


def asked_for(query: TextQuery) -> tuple[object, ...]:
    """Return what open-vocabulary calls must share to be computed together."""
    return (query.rgb.shape, query.phrases, query.confidence)


def predict_words(model: Any, queries: Sequence[TextQuery], device: str) -> list[Detections]:  # noqa: ANN401
    """Run an open-vocabulary model, told what to look for, on queries that `asked_for` the same.

    Returns:
        What `predict` does, labelled with the prompts as they were asked.
    """
    classes = tuple(range(len(queries[0].phrases)))
    requests = [Request(query.rgb, classes, query.confidence) for query in queries]
    return [
        replace(found, labels=tuple(query.prompts[query.phrases.index(label)] for label in found.labels))
        for query, found in zip(queries, predict(model, requests, device), strict=True)
    ]


def _detections(result: Any, task: Task) -> Detections:  # noqa: ANN401
    boxes, size = result.boxes, result.orig_shape
    # Ultralytics counts from the corner of the first pixel, we from its centre.
    xyxy_px = boxes.xyxy.cpu().numpy().astype(np.float64).reshape(-1, 4) - 0.5
    scores = boxes.conf.cpu().numpy().astype(np.float64).clip(0.0, 1.0)
    labels = tuple(str(result.names[int(number)]).lower() for number in boxes.cls)
    masks = None
    if task == "segment":
        masks = np.zeros((0, *size), bool)
        if result.masks is not None:
            masks = result.masks.data.cpu().numpy().astype(bool)
    return Detections(xyxy_px, scores, labels, masks)


def _yolo_class() -> Any:  # noqa: ANN401
    """Import ultralytics without what it does to everybody else's `PIL.Image.open`.

    Its replacement tries to install packages where a file is no image, instead of saying so.
    """
    open_image = Image.open
    try:
        from ultralytics import YOLO
        from ultralytics.nn import tasks
        from ultralytics.utils import (
            checks,
            patches,  # noqa: F401 - replaces it when imported, so import it now
        )
    except ImportError as error:
        raise ToolUnavailableError(
            f"YOLO needs ultralytics ({error}); install spatial-reasoning-agent[yolo]"
        ) from error
    finally:
        Image.open = open_image
    # Also where somebody else imported it first, and it read the environment before `_keep_offline`.
    checks.AUTOINSTALL = False
    tasks.SAFE_LOAD = True
    return YOLO


def _keep_offline() -> None:
    """Tell ultralytics, which listens only to the environment, to install, fetch and report nothing."""
    if "ultralytics" in sys.modules:
        return
    settings = tempfile.TemporaryDirectory(prefix="spatial-agent-yolo-")
    _private_folders.append(settings)
    wanted = {"YOLO_OFFLINE": "True", "YOLO_AUTOINSTALL": "False", "YOLO_CONFIG_DIR": settings.name}
    os.environ.update(wanted, YOLO_VERBOSE="False")  # noqa: TID251 - it reads these once, at its import


#: Kept until the process ends, when they delete themselves.
_private_folders: list[tempfile.TemporaryDirectory[str]] = []
