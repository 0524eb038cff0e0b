"""Starts the real ``transformers serve`` in a process of its own: ``python -m`` with its arguments."""

import io
import runpy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def main() -> None:
    """Serve; pictures are decoded by Pillow where torchvision came without its own decoders."""
    from spatial_agent.tools.native_imports import install

    install()
    import torchvision.io

    try:
        torchvision.io.image._assert_has_image_ops()
    except RuntimeError:
        torchvision.io.decode_image = decoded
    runpy.run_module("transformers.cli.transformers", run_name="__main__")


def decoded(data: "torch.Tensor", **_how: object) -> "torch.Tensor":
    """Return a picture as torchvision does: shape (3, H, W) uint8."""
    import numpy as np
    import torch
    from PIL import Image

    image = Image.open(io.BytesIO(data.numpy().tobytes())).convert("RGB")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


if __name__ == "__main__":
    main()
