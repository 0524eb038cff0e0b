"""Small random networks of SAM 2's own architecture, saved as the hub holds them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.native_imports import install
from spatial_agent.tools.scene import Frame, FrameHeader

#: Edge of the small network's square input, pixels; its masks have a quarter of that.
INPUT_PX = 64

Pictures = Callable[..., Frame]


@pytest.fixture(scope="session")
def picture() -> Pictures:
    """``picture(seed, height=40, width=60)``: a frame of noise, neither square nor of the network's size."""

    def frame(seed: int = 0, height: int = 40, width: int = 60) -> Frame:
        rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        return Frame(FrameHeader(seed, f"{seed:06d}"), rgb)

    return frame


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for video, as the published ones are, whose parts for pictures load by themselves."""
    # More threads than one only get into each other's way in networks this small.
    pytest.importorskip("torch").set_num_threads(1)
    pytest.importorskip("transformers")
    return save_network(tmp_path_factory.mktemp("sam2"))


def save_network(folder: Path) -> Path:
    install()
    import torch
    from transformers import (
        Sam2HieraDetConfig,
        Sam2ImageProcessor,
        Sam2VideoConfig,
        Sam2VideoModel,
        Sam2VisionConfig,
    )

    size = {"height": INPUT_PX, "width": INPUT_PX}
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[INPUT_PX, INPUT_PX],
        blocks_per_stage=[1, 1, 3, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=128,
    )
    prompts: dict[str, Any] = {"hidden_size": 128, "image_size": INPUT_PX}
    decoder = {"hidden_size": 128, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32}
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config=prompts,
        mask_decoder_config=decoder,
        image_size=INPUT_PX,
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=128,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=128,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=32,
    )
    torch.manual_seed(0)
    Sam2VideoModel(config).save_pretrained(folder)
    Sam2ImageProcessor(
        size=size, mask_size={"height": INPUT_PX // 4, "width": INPUT_PX // 4}
    ).save_pretrained(folder)
    return folder
