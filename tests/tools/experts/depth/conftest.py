"""Tiny depth networks of the real architectures, with random weights."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.tools.experts.depth_anything import DepthAnything
from spatial_agent.tools.experts.depth_network import DepthNetwork
from spatial_agent.tools.experts.depth_pro import DepthPro
from spatial_agent.tools.experts.depth_zoedepth import ZoeDepth
from spatial_agent.tools.native_imports import install

install()

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALVES = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def backbone() -> dict[str, Any]:
    return {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "out_indices": [1, 2, 3, 4]}


def depth_anything(folder: Path, kind: str = "metric") -> Path:
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    config = DepthAnythingConfig(
        backbone_config=Dinov2Config(**backbone(), image_size=70, patch_size=14, reshape_hidden_states=False),
        reassemble_hidden_size=16,
        neck_hidden_sizes=[4, 8, 8, 16],
        fusion_hidden_size=8,
        head_hidden_size=4,
        depth_estimation_type=kind,
        max_depth=20,
    )
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    settings = {"size": {"height": 70, "width": 70}, "keep_aspect_ratio": True, "ensure_multiple_of": 14}
    write_processor(folder, "DPTImageProcessor", settings | {"resample": 3} | IMAGENET)
    return folder


def depth_pro(folder: Path, *, field_of_view: bool = True) -> Path:
    import torch
    from transformers import DepthProConfig, DepthProForDepthEstimation

    torch.manual_seed(0)
    encoder = {
        "model_type": "dinov2",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 8,
        "image_size": 32,
    }
    config = DepthProConfig(
        fusion_hidden_size=8,
        patch_size=32,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.5, 1.0],
        scaled_images_overlap_ratios=[0.5, 0.25],
        scaled_images_feature_dims=[8, 8],
        merge_padding_value=1,
        use_fov_model=field_of_view,
        image_model_config=dict(encoder),
        patch_model_config=dict(encoder),
        fov_model_config=dict(encoder),
    )
    DepthProForDepthEstimation(config).save_pretrained(folder)
    settings = {"size": {"height": 64, "width": 64}, "resample": 2}
    write_processor(folder, "DepthProImageProcessor", settings | HALVES)
    return folder


def zoedepth(folder: Path) -> Path:
    import torch
    from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation

    torch.manual_seed(0)
    config = ZoeDepthConfig(
        backbone_config=BeitConfig(
            **backbone(),
            intermediate_size=32,
            image_size=64,
            patch_size=16,
            use_relative_position_bias=True,
            reshape_hidden_states=False,
        ),
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        bottleneck_features=16,
        num_relative_features=8,
        num_attractors=[4, 2, 2, 1],
        bin_embedding_dim=8,
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
    )
    ZoeDepthForDepthEstimation(config).save_pretrained(folder)
    settings = {"size": {"height": 64, "width": 96}, "keep_aspect_ratio": True, "ensure_multiple_of": 32}
    write_processor(folder, "ZoeDepthImageProcessor", settings | {"resample": 2, "do_pad": True} | HALVES)
    return folder


def write_processor(folder: Path, kind: str, settings: dict[str, Any]) -> None:
    text = json.dumps({"image_processor_type": kind, "do_resize": True} | settings)
    (folder / "preprocessor_config.json").write_text(text)


#: Builders of a folder of weights, by name of what they build.
Make = Mapping[str, Callable[[Path], Path]]
MAKE: Make = {
    "depth_anything": depth_anything,
    "depth_anything_relative": partial(depth_anything, kind="relative"),
    "depth_pro": depth_pro,
    "depth_pro_without_view": partial(depth_pro, field_of_view=False),
    "zoedepth": zoedepth,
}
KINDS: Mapping[str, type[DepthNetwork]] = {
    "depth_anything": DepthAnything,
    "depth_pro": DepthPro,
    "zoedepth": ZoeDepth,
}


@pytest.fixture(scope="session")
def make() -> Make:
    """Builders of tiny networks of the real architectures, saved as the hub lays them out."""
    return MAKE


@pytest.fixture(scope="module", params=KINDS)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DepthNetwork:
    """One loaded tiny network of each kind."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    built = KINDS[request.param](MAKE[request.param](tmp_path_factory.mktemp(request.param)))
    built.load("cpu")
    return built
