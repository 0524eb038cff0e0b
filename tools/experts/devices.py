"""Where networks of this process run."""

import importlib.util
from pathlib import Path

#: What drivers of GPUs that torch can use leave on a Linux machine, or under Windows' own Linux.
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))


def best_device() -> str:
    """Return ``"cuda:0"`` where torch can use a GPU, else ``"cpu"``.

    Torch takes seconds to import, so it is only asked where a driver is.
    """
    if importlib.util.find_spec("torch") is None or not any(driver.exists() for driver in DRIVERS):
        return "cpu"
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"
