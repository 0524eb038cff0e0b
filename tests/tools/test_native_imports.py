"""Imports are tried in fresh interpreters: the hook works once per process, before the first import."""

import importlib.util
import subprocess
import sys

import pytest


def run_python(source: str) -> str:
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


BRUTE_FORCE = """
from spatial_agent.tools import native_imports
native_imports.install()
import torch, torchvision

def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return shared / (area(a) + area(b) - shared)

def kept_one_by_one(boxes, scores, threshold):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(overlap(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept

torch.manual_seed(0)
sizes = []
for count in (0, 1, 5, 200):
    for threshold in (0.0, 0.3, 0.7, 1.0):
        corner = torch.rand(count, 2, dtype=torch.float64) * 100
        boxes = torch.cat([corner, corner + 1 + torch.rand(count, 2, dtype=torch.float64) * 40], 1)
        scores = torch.rand(count, dtype=torch.float64)
        found = torchvision.ops.nms(boxes, scores, threshold)
        assert found.dtype == torch.int64
        assert found.tolist() == kept_one_by_one(boxes.tolist(), scores.tolist(), threshold), threshold
        sizes.append(len(found))
assert 0 < sizes[13] < 200, sizes
print("agreed")
"""


@needs("torchvision")
def test_torchvision_suppresses_boxes_as_an_independent_loop_does() -> None:
    assert run_python(BRUTE_FORCE) == "agreed"


@pytest.mark.slow
@needs("transformers")
@needs("torchvision")
def test_vision_models_of_transformers_import() -> None:
    source = (
        "from spatial_agent.tools import native_imports; native_imports.install()\n"
        "from transformers import DepthAnythingForDepthEstimation as model; print(model.__name__)"
    )
    assert run_python(source) == "DepthAnythingForDepthEstimation"


@needs("open3d")
def test_open3d_imports_without_a_system_libusb() -> None:
    source = (
        "from spatial_agent.tools import native_imports; native_imports.install()\n"
        "import open3d; print(len(open3d.geometry.PointCloud().points))"
    )
    assert run_python(source) == "0"


def test_installing_twice_adds_one_finder_and_imports_nothing_heavy() -> None:
    source = (
        "import sys; before = len(sys.meta_path)\n"
        "from spatial_agent.tools import native_imports\n"
        "native_imports.install(); native_imports.install()\n"
        "print(len(sys.meta_path) - before, {'torch', 'open3d', 'torchvision'} & set(sys.modules))"
    )
    assert run_python(source) == "1 set()"
