"""How much memory the GPUs of a Ray cluster have and have left, asked of their own driver on every node."""

import os
import subprocess
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from spatial_agent.services.admission import Gpu
from spatial_agent.services.ray_cluster import alive_nodes
from spatial_agent.tools.errors import ToolUnavailableError

GIGA = 1e9
QUERY = ("nvidia-smi", "--query-gpu=index,memory.total,memory.free", "--format=csv,noheader,nounits")
LIMIT_S = 20.0


def probe_gpus() -> list[Gpu]:
    """Return the GPUs of every node that has any.

    Raises:
        ToolUnavailableError: If a node does not tell; experts then run where their pool's options say
            ``device="cpu"``.
    """
    nodes = [node["NodeID"] for node in alive_nodes() if node["Resources"].get("GPU")]
    ask: Any = ray.remote(num_cpus=0, max_retries=0)(read_driver)
    asked = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()
        for node in nodes
    ]
    try:
        answers = ray.get(asked, timeout=LIMIT_S)
    except (ray.exceptions.RayError, TimeoutError) as error:
        cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        raise ToolUnavailableError(
            f"the memory of the GPUs cannot be read ({cause}); install nvidia-smi, or choose the device 'cpu'"
        ) from error
    return [gpu for node, answer in zip(nodes, answers, strict=True) for gpu in parse(node, answer)]


def read_driver() -> str:
    """Return what the driver of this machine says of the GPUs Ray may use, one line a GPU."""
    answer = subprocess.run(QUERY, capture_output=True, text=True, check=True, timeout=LIMIT_S / 2).stdout
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")  # noqa: TID251 - of another machine, where no settings are
    return visible_only(answer, visible)


def visible_only(answer: str, visible: str | None) -> str:
    r"""Return the lines of those GPUs that ``CUDA_VISIBLE_DEVICES`` names.

    >>> visible_only("0, 100, 90\n1, 100, 80", "1")
    '1, 100, 80'
    """
    if not visible:
        return answer
    wanted = {name.strip() for name in visible.split(",")}
    return "\n".join(line for line in answer.splitlines() if line.split(",")[0].strip() in wanted)


def parse(node: str, answer: str) -> list[Gpu]:
    """Return the GPUs a driver's answer speaks of.

    >>> parse("n1", "0, 24576, 20480")
    [Gpu(node='n1', index='0', total_gb=25.769803776, free_gb=21.47483648)]
    """
    rows = [line.split(",") for line in answer.splitlines() if line.strip()]
    return [
        Gpu(node, index.strip(), float(total) * 2**20 / GIGA, float(free) * 2**20 / GIGA)
        for index, total, free in rows
    ]
