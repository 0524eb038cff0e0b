"""Let two packages import whose native libraries ask for more than this machine has.

``torchvision``'s published wheel is a GPU build. Beside a torch without GPU support its C++ operators do
not load, and the import then fails on the missing operator ``nms``; so does every vision model of
``transformers`` with it. ``open3d`` links against libusb, which a machine without root may lack although
the package ``libusb-package`` brings a copy.

`install` prepares for both just before the import needs it, costs nothing until then, and does nothing
where the packages load by themselves.
"""

import ctypes
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

#: Libraries of operators stay registered only as long as they are referred to.
_registered: list[Any] = []


def install() -> None:
    """Prepare the imports of torchvision and open3d; call it before either, as often as you like."""
    if not any(isinstance(finder, _PrepareImport) for finder in sys.meta_path):
        sys.meta_path.insert(
            0,
            _PrepareImport(
                {"torchvision._meta_registrations": _register_suppression, "open3d": _load_libusb},
            ),
        )


class _PrepareImport(MetaPathFinder):
    """Runs a preparation when a module is first looked for; finds nothing itself."""

    def __init__(self, preparations: Mapping[str, Callable[[], None]]) -> None:
        self.preparations = preparations

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Prepare `fullname` where it needs it, and leave finding it to the other finders."""
        if fullname in self.preparations:
            self.preparations[fullname]()
        return None


def _register_suppression() -> None:
    """Define torchvision's ``nms`` in Python where its own operators did not load."""
    from torch.library import Library

    extension: Any = importlib.import_module("torchvision.extension")
    if extension._has_ops() or _registered:
        return
    library = Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _suppress, "CPU")
    _registered.append(library)
    # `nms` asks for this before it calls the operator; whatever has a fallback in Python asks `_has_ops`,
    # which stays False.
    extension._assert_has_ops = lambda: None


def _suppress(dets: "torch.Tensor", scores: "torch.Tensor", iou_threshold: float) -> "torch.Tensor":
    import torch

    boxes = dets.detach().to(torch.float64).numpy()
    order = np.argsort(-scores.detach().to(torch.float64).numpy(), kind="stable")
    return torch.from_numpy(_greedy(boxes, order, iou_threshold))


def _greedy(boxes: NDArray[np.float64], order: NDArray[np.intp], iou_threshold: float) -> NDArray[np.int64]:
    """Return the boxes kept, best first: each drops all later ones that overlap it by more."""
    left_top, right_bottom = boxes[:, :2], boxes[:, 2:]
    areas = (right_bottom - left_top).prod(axis=1)
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(right_bottom[best], right_bottom[rest]) - np.maximum(
            left_top[best], left_top[rest]
        )
        shared = sides.clip(min=0.0).prod(axis=1)
        order = rest[shared <= iou_threshold * (areas[best] + areas[rest] - shared)]
    return np.array(kept, dtype=np.int64)


def _load_libusb() -> None:
    """Load the packaged libusb where open3d would look for the system's in vain."""
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL("libusb-1.0.so.0")
    except OSError:
        if importlib.util.find_spec("libusb_package") is None:
            return
        library = importlib.import_module("libusb_package").get_library_path()
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
