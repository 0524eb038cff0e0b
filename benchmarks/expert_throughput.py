"""Frames a second of the depth and segmentation experts beside a plain transformers loop on the same device.

    python benchmarks/expert_throughput.py [--device cpu] [--frames 4] [--prompts 4] [--repeats 2]

The networks are Depth Anything V2 Small and SAM 2.1 Tiny, of the published architecture with random
numbers in them: speed does not depend on what they learnt, and no weights are needed. The baseline is what
the library's own examples do: one picture after the other through processor, model and post-processing, in
single precision, embedding the picture anew for every prompt. `one prompt` gives each picture a single box,
so that nothing can be reused. Runs alternate, the best of the repeats counts; `share` is what an expert
reaches of the rate of a large matrix product on this device in the precision it computes in.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from spatial_agent.tools.native_imports import install
from spatial_agent.tools.scene import Detections, Frame, FrameHeader

HEIGHT, WIDTH = 480, 640
#: Edge of the matrices whose product stands for the device's roofline.
MATRIX = {"cpu": 2048, "cuda": 8192}


@dataclass(frozen=True)
class Contest:
    """An expert and its baseline over the same pictures.

    Attributes:
        name: What is compared.
        ours: Does the work once with the expert.
        plain: Does the same work once the plain way.
        flops: Floating-point operations of the networks for the work as the expert does it.
        items: Results the work gives: depth maps or masks.
    """

    name: str
    ours: Callable[[], object]
    plain: Callable[[], object]
    flops: int
    items: int


def main() -> None:
    """Run the contests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", help="cpu or cuda:0; the accelerator where there is one")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=4, help="boxes on each picture")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", choices=("depth", "segmentation"), help="leave the other out")
    chosen = parser.parse_args()
    install()
    import torch

    messages: Any = import_module("transformers.utils.logging")
    messages.disable_progress_bar()
    device = chosen.device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    frames = pictures(chosen.frames)
    with tempfile.TemporaryDirectory() as folder:
        contests = []
        if chosen.only != "segmentation":
            contests.append(depth_contest(Path(folder) / "depth", frames, device))
        if chosen.only != "depth":
            contests += segmentation_contests(Path(folder) / "sam2", frames, chosen.prompts, device)
        peak = rate_of_products(device)
        print(f"{device}: {device_name(device)}, {len(frames)} pictures of {WIDTH}x{HEIGHT}")
        print(f"large matrix product: {peak / 1e12:.2f} TFLOP/s")
        print(f"{'':34}{'plain /s':>10}{'ours /s':>10}{'ratio':>8}{'share':>8}")
        for contest in contests:
            ours, plain = best_of(contest, chosen.repeats, device)
            share = contest.flops / ours / peak
            rates = f"{contest.items / plain:>10.2f}{contest.items / ours:>10.2f}"
            print(f"{contest.name:34}{rates}{plain / ours:>7.1f}x{share:>8.0%}", flush=True)


def pictures(count: int) -> list[Frame]:
    """Return frames of coloured noise; networks take the same time for any picture."""
    rng = np.random.default_rng(0)
    return [
        Frame(FrameHeader(index, f"{index}"), rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
        for index in range(count)
    ]


def depth_contest(folder: Path, frames: Sequence[Frame], device: str) -> Contest:
    """Return Depth Anything V2 Small, ours in one batch, against one picture at a time."""
    import torch

    from spatial_agent.tools.experts.depth_anything import DepthAnything

    library: Any = import_module("transformers")

    backbone = library.Dinov2Config(
        hidden_size=384,
        num_attention_heads=6,
        num_hidden_layers=12,
        image_size=518,
        patch_size=14,
        out_indices=[3, 6, 9, 12],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = library.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=384,
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
        depth_estimation_type="metric",
        max_depth=20,
    )
    library.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    processor = library.DPTImageProcessor(
        size={"height": 518, "width": 518},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        do_pad=False,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    processor.save_pretrained(folder)
    model = library.DepthAnythingForDepthEstimation.from_pretrained(folder).to(device).eval()

    def plain() -> list[Any]:
        depths = []
        with torch.inference_mode():
            for frame in frames:
                inputs = processor(images=np.array(frame.rgb), return_tensors="pt").to(device)
                outputs = model(**inputs)
                sizes = [(HEIGHT, WIDTH)]
                depth = processor.post_process_depth_estimation(outputs, target_sizes=sizes)
                depths.append(depth[0]["predicted_depth"].cpu().numpy())
        return depths

    expert = DepthAnything(folder)
    expert.load(device)
    expert.compile()
    calls = [{"frame": frame} for frame in frames]
    name = f"depth, batch of {len(frames)}"
    return Contest(name, lambda: checked(expert.batch(calls)), plain, operations(plain), len(frames))


def segmentation_contests(folder: Path, frames: Sequence[Frame], prompts: int, device: str) -> list[Contest]:
    """Return SAM 2.1 Tiny with several boxes a picture, asked one after the other, and with one."""
    import torch

    from spatial_agent.tools.experts.sam2 import Sam2

    library: Any = import_module("transformers")

    library.Sam2Model(library.Sam2Config()).save_pretrained(folder)
    image_processor = library.Sam2ImageProcessor()
    image_processor.save_pretrained(folder)
    processor = library.Sam2Processor(image_processor)
    model = library.Sam2Model.from_pretrained(folder).to(device).eval()
    expert = Sam2(folder)
    expert.load(device)
    run = itertools.count(1)
    boxes = [[40.0 + 90 * k, 60.0, 150.0 + 90 * k, 260.0] for k in range(prompts)]

    def plain(used: Sequence[list[float]]) -> list[Any]:
        masks = []
        with torch.inference_mode():
            for frame in frames:
                for box in used:
                    inputs = processor(
                        images=np.array(frame.rgb), input_boxes=[[box]], return_tensors="pt"
                    ).to(device)
                    outputs = model(**inputs, multimask_output=False)
                    masks.append(
                        processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"])[0]
                    )
        return masks

    def ours(used: Sequence[list[float]]) -> None:
        # Pictures nobody has seen yet, so that nothing is left over from the run before.
        unseen = [Frame(frame.header, np.asarray(frame.rgb) + np.uint8(next(run))) for frame in frames]
        for box in used:
            one = Detections(np.array([box]), np.ones(1), ("object",))
            checked(expert.batch([{"frame": frame, "boxes": one} for frame in unseen]))

    once = operations(lambda: plain(boxes[:1]))
    decoding = operations(lambda: ours(boxes[:2])) - operations(lambda: ours(boxes[:1]))
    return [
        Contest(
            f"segmentation, {len(used)} prompt{'s' if len(used) > 1 else ''} a picture",
            lambda used=used: ours(used),  # type: ignore[misc]
            lambda used=used: plain(used),  # type: ignore[misc]
            once + decoding * (len(used) - 1),
            len(frames) * len(used),
        )
        for used in (boxes, boxes[:1])
    ]


def checked(results: Sequence[object]) -> None:
    """Raise the first error among results: speed of failing is no speed."""
    for result in results:
        if isinstance(result, Exception):
            raise result


def best_of(contest: Contest, repeats: int, device: str) -> tuple[float, float]:
    """Return the least seconds of ours and of the plain way; runs alternate after one of each to warm up."""
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(repeats + 1):
        for name, work in (("ours", contest.ours), ("plain", contest.plain)):
            seconds[name].append(timed(work, device))
    return min(seconds["ours"][1:]), min(seconds["plain"][1:])


def timed(work: Callable[[], object], device: str) -> float:
    """Return the seconds of a piece of work, until the device has finished it."""
    import torch

    started = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def operations(work: Callable[[], object]) -> int:
    """Return the floating-point operations that networks do in a piece of work."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def rate_of_products(device: str) -> float:
    """Return the operations a second of a large matrix product, in the precision of the experts."""
    import torch

    kind = device.partition(":")[0]
    edge = MATRIX[kind]
    dtype = torch.float32 if kind == "cpu" else torch.float16
    a, b = (torch.rand(edge, edge, device=device, dtype=dtype) for _ in range(2))
    seconds = min(timed(lambda: a @ b, device) for _ in range(5))
    return float(2 * edge**3 / seconds)


def device_name(device: str) -> str:
    """Return what a device is called."""
    import torch

    return (
        torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else f"{torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
