"""What a call costs beside the measuring itself: Ray by reference against HTTP with base64 JSON.

    python benchmarks/call_overhead.py [--repeats 40] [--warm-up 5]

A 1080p picture goes in and a float32 depth map comes out, measured by the same two lines everywhere.
`HTTP` is what the field's own servers do, written out in this file: FastAPI and uvicorn in a process of
their own, the picture as base64 of JPEG or PNG in JSON, the depth as base64 of its numbers. `bare actor`
is Ray without anything of ours: a reference in, the depth fetched. Ways take turns, so that a busy machine
is busy for all of them. Goals: 15 times below JPEG, 25 times below PNG, at most 1.3 times a bare actor.
"""

import argparse
import asyncio
import base64
import io
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import numpy as np
import ray
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from spatial_agent.services.ray_cluster import ClusterOptions, RayCluster
from spatial_agent.services.ray_pools import ExpertPools
from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.services.ray_runner import RayRunner
from spatial_agent.tools.contract import ToolCall
from spatial_agent.tools.registry import Registry, expert
from spatial_agent.tools.scene import DepthMap, Frame, FrameHeader

HEIGHT, WIDTH = 1080, 1920
#: How many times slower the others may be, at least; how many times slower than a bare actor we may be.
GOALS = {"HTTP, JPEG": 15.0, "HTTP, PNG": 25.0}
BARE_GOAL = 1.3
OURS, BARE = "our Ray runner", "bare actor"

#: Makes the call once and returns the depth, as its user would have it.
Way = Callable[[], DepthMap]


def measure(frame: Frame) -> DepthMap:
    """Return a plane two metres away: the cheapest depth map there is."""
    assert frame.rgb is not None
    return DepthMap(np.full(frame.rgb.shape[:2], 2.0, np.float32))


def main() -> None:
    """Time the four ways in turn and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=5)
    chosen = parser.parse_args()
    rgb = picture()
    with ExitStack() as stack:
        # The server is forked off before Ray starts threads.
        url = stack.enter_context(served())
        ways = {
            "HTTP, PNG": over_http(url, rgb, "PNG"),
            "HTTP, JPEG": over_http(url, rgb, "JPEG"),
            **stack.enter_context(on_ray(rgb)),
        }
        for way in ways.values():
            assert way().z_m.shape == (HEIGHT, WIDTH)
        times = timed(ways, chosen.warm_up, chosen.repeats)
    report(times)


def timed(ways: dict[str, Way], warm_up: int, repeats: int) -> dict[str, list[float]]:
    """Return the sorted times of each way, milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    order, random = list(ways), np.random.default_rng(0)
    for turn in range(warm_up + repeats):
        # What one leaves to do behind it must not always burden the same next one.
        random.shuffle(order)
        for name in order:
            started = time.perf_counter()
            ways[name]()
            if turn >= warm_up:
                times[name].append((time.perf_counter() - started) * 1e3)
    return {name: sorted(values) for name, values in times.items()}


def report(times: dict[str, list[float]]) -> None:
    """Print the table of medians, 95th percentiles and ratios."""
    ours = statistics.median(times[OURS])
    table = Table("way", "p50 ms", "p95 ms", "this / ours", "goal", title=f"{WIDTH} x {HEIGHT}")
    for name, values in times.items():
        median = statistics.median(values)
        p95 = values[int(0.95 * len(values))]
        goal = ""
        if name in GOALS:
            goal = f"at least {GOALS[name]:g}: " + ("met" if median / ours >= GOALS[name] else "missed")
        if name == BARE:
            goal = f"ours / this at most {BARE_GOAL:g}: {ours / median:.2f}, "
            goal += "met" if ours / median <= BARE_GOAL else "missed"
        table.add_row(name, f"{median:.1f}", f"{p95:.1f}", f"{median / ours:.1f}", goal)
    Console().print(table)


def picture() -> NDArray[np.uint8]:
    """Return a picture about as hard to compress as a photograph: gradients, edges and a little noise."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([x / WIDTH * 255, y / HEIGHT * 255, (np.sin(x / 40) + 1) * 90], axis=-1)
    edges = ((x // 160 + y // 120) % 2 * 40)[..., None]
    noisy = smooth * 0.8 + edges + random.normal(0, 3, (HEIGHT, WIDTH, 3))
    rgb: NDArray[np.uint8] = noisy.clip(0, 255).astype(np.uint8)
    return rgb


# The peers' way


def serve(port: int) -> None:
    """Serve depth over HTTP until killed."""
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/depth")
    def depth(body: dict[str, Any]) -> dict[str, Any]:
        image = Image.open(io.BytesIO(base64.b64decode(body["image"]))).convert("RGB")
        found = measure(Frame(FrameHeader(0, "picture"), rgb=np.asarray(image))).z_m
        return {"shape": found.shape, "depth": base64.b64encode(found.tobytes()).decode()}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


@contextmanager
def served() -> Iterator[str]:
    """Run the server in a process of its own; gives its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{url}/openapi.json", timeout=5)
            break
        except httpx.TransportError:
            if not process.is_alive():
                raise
            time.sleep(0.05)
    try:
        yield url
    finally:
        process.terminate()
        process.join()


def over_http(url: str, rgb: NDArray[np.uint8], form: str) -> Way:
    """Return the call that encodes the picture, posts it and decodes the depth."""
    client = httpx.Client(timeout=60)

    def call() -> DepthMap:
        encoded = io.BytesIO()
        Image.fromarray(rgb).save(encoded, format=form)
        image = base64.b64encode(encoded.getvalue()).decode()
        answer = client.post(f"{url}/depth", json={"image": image}).json()
        z_m = np.frombuffer(base64.b64decode(answer["depth"]), np.float32)
        return DepthMap(z_m.reshape(answer["shape"]))

    return call


# Ray's


@contextmanager
def on_ray(rgb: NDArray[np.uint8]) -> Iterator[dict[str, Way]]:
    """Start Ray; gives the call through our runner and the one to a bare actor."""

    @expert("depth.plane")
    class Plane:
        def load(self, device: str) -> None: ...

        def __call__(self, frame: Frame) -> DepthMap:
            """Measure depth.

            Args:
                frame: A frame with pixels.
            """
            return measure(frame)

    registry = Registry()
    registry.add(Plane)
    cluster = RayCluster(ClusterOptions(store_mb=512))
    cluster.start()
    loop = asyncio.new_event_loop()
    try:
        with ExpertPools(registry, PoolOptions(least=1, most=1), cluster=cluster) as pools:
            pools.warm(["depth.plane"])
            yield {OURS: by_runner(loop, RayRunner(registry, pools), rgb), BARE: by_actor(rgb)}
    finally:
        loop.close()
        cluster.close()


def by_runner(loop: asyncio.AbstractEventLoop, runner: RayRunner, rgb: NDArray[np.uint8]) -> Way:
    """Return the call of the expert with a frame that the runner keeps."""
    frame = runner.keep("frame/1", Frame(FrameHeader(0, "picture"), rgb=rgb))

    def call() -> DepthMap:
        result = loop.run_until_complete(runner.call(ToolCall("c", "depth.plane", {"frame": frame})))
        if result.error or result.handle is None:
            raise result.error or AssertionError("expected a depth map, got evidence")
        depth = runner.value(result.handle)
        assert isinstance(depth, DepthMap)
        runner.drop(result.handle)
        return depth

    return call


def by_actor(rgb: NDArray[np.uint8]) -> Way:
    """Return the call of an actor with nothing around it."""

    class Bare:
        def depth(self, frame: Frame) -> DepthMap:
            return measure(frame)

    remote: Any = ray.remote
    actor = remote(Bare).options(num_cpus=0).remote()
    reference = ray.put(Frame(FrameHeader(0, "picture"), rgb=rgb))

    def call() -> DepthMap:
        depth: DepthMap = ray.get(actor.depth.remote(reference))
        return depth

    return call


if __name__ == "__main__":
    main()
