"""Things followed through a video by SAM 2.1, from where one frame shows them, both ways in time.

Source: Ravi et al., SAM 2: Segment Anything in Images and Videos, 2024.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.pretrained import (
    Picture,
    half_where_faster,
    picture_of,
    prepared,
    read_network,
    read_processor,
)
from spatial_agent.tools.experts.sam2 import SAM2_WEIGHTS, in_network, upscaled
from spatial_agent.tools.progress import report
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame, InstanceMask, Tracks

#: The network's marks for the two corners of a box.
CORNERS = (2, 3)


@expert(
    "track.sam2_video",
    weights=SAM2_WEIGHTS,
    resources=Resources(threads=2, deadline_s=900.0),
)
class Sam2Video:
    """SAM 2.1 with its memory of the frames before.

    Args:
        weights: Folder of the network.
    """

    def __init__(self, weights: Path) -> None:
        """Load nothing yet."""
        self._weights = weights
        self._device = "cpu"
        self._model: Any = None
        self._processor: Any = None

    def load(self, device: str) -> None:
        """Read the network and put it on a device."""
        self._device = device
        self._processor = read_processor("Sam2ImageProcessor", self._weights)
        self._model = read_network("Sam2VideoModel", self._weights, device)

    def __call__(self, frames: tuple[Frame, ...], start: Detections, start_frame: int = 0) -> Tracks:
        """Follow things through a video, from where one of its frames shows them.

        Args:
            frames: Frames of one size with their pictures, in order of time.
            start: Where the things are in one frame: masks where there are any, else boxes.
            start_frame: Which of the frames that is, 0 for the first.

        Returns:
            The masks of each frame, of its size; thing number k of the start carries instance_id k + 1 and
            its label. The score is how sure the network is that the thing is to be seen; masks of different
            things may overlap. Masks of the start are given back as they are.

        Raises:
            ToolArgumentError: If the start does not fit the frames, or they differ in size.
            ToolFailedError: If a frame has no picture.
        """
        pictures = _checked(frames, start, start_frame)
        indices = tuple(frame.header.index for frame in frames)
        if not len(start):
            return Tracks(indices, ((),) * len(frames))
        after, before = pictures[start_frame:], pictures[start_frame::-1]
        total = len(after) + len(before) - 1
        masks = [*self._follow(after, start, 0, total)]
        if start_frame:
            backwards = [*self._follow(before, start, len(after), total)]
            masks = [*backwards[:0:-1], *masks]
        if start.masks is not None:
            # The network only gives back what it was given, more coarsely.
            masks[start_frame] = _masks(start.masks, start.scores.tolist(), start.labels)
        return Tracks(indices, tuple(masks))

    def _follow(
        self, pictures: Sequence[Picture], start: Detections, done: int, total: int
    ) -> Iterator[tuple[InstanceMask, ...]]:
        """Yield the masks of each picture, beginning with the one the start belongs to."""
        import torch

        session = self._session(start, pictures[0].shape)
        for number, picture in enumerate(pictures):
            with torch.inference_mode(), half_where_faster(self._device, "bfloat16"):
                pixels = prepared(self._processor, [picture], self._device).pixel_values
                outputs = self._model(inference_session=session, frame=pixels, frame_idx=number)
                logits = outputs.pred_masks.flatten(0, -3)
                scores = outputs.object_score_logits.float().sigmoid().flatten().tolist()
                seen = upscaled(logits, picture.shape[:2])
            self._forget(session, number)
            report("tracking", min(done + number + 1, total), total)
            yield _masks(seen, scores, start.labels)

    def _session(self, start: Detections, shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - transformers' own
        """Return a session that knows where things are in its first frame."""
        import torch
        from transformers import Sam2VideoInferenceSession

        session = Sam2VideoInferenceSession(
            inference_device=self._device,
            inference_state_device=self._device,
            video_storage_device=self._device,
            dtype=torch.float32,
        )
        corners = in_network(start.xyxy_px, shape, self._model.image_size).reshape(-1, 1, 1, 2, 2)
        for number in range(len(start)):
            thing = session.obj_id_to_idx(number + 1)
            if start.masks is not None:
                session.add_mask_inputs(thing, 0, self._mask(start.masks[number]))
            else:
                place = torch.from_numpy(corners[number]).float()
                marks = torch.tensor([[CORNERS]], dtype=torch.int32)
                session.add_point_inputs(thing, 0, {"point_coords": place, "point_labels": marks})
        session.obj_with_new_inputs = list(session.obj_ids)
        return session

    def _mask(self, mask: NDArray[np.bool_]) -> Any:  # noqa: ANN401 - a tensor
        import torch
        from torch.nn.functional import interpolate

        share = torch.tensor(mask, dtype=torch.float32, device=self._device)[None, None]
        size = (self._model.image_size,) * 2
        return (interpolate(share, size, mode="bilinear", antialias=True) >= 0.5).float()

    def _forget(self, session: Any, number: int) -> None:  # noqa: ANN401
        """Let go of what no later frame looks back at, so that memory does not grow with the video."""
        del session.processed_frames[number]
        reach = max(self._model.config.num_maskmem, self._model.config.max_object_pointers_in_encoder)
        for outputs in session.output_dict_per_obj.values():
            outputs["non_cond_frame_outputs"].pop(number - reach, None)


def _checked(frames: Sequence[Frame], start: Detections, start_frame: int) -> list[Picture]:
    pictures = [picture_of(frame) for frame in frames]
    if not 0 <= start_frame < len(frames):
        raise ToolArgumentError(f"start_frame: expected 0 to {len(frames) - 1}, got {start_frame}")
    sizes = {picture.shape[:2] for picture in pictures}
    if len(sizes) > 1:
        raise ToolArgumentError(f"frames: expected one size (height, width), got {sorted(sizes)}")
    (size,) = sizes
    if start.masks is not None and start.masks.shape[1:] != size:
        raise ToolArgumentError(
            f"start: expected masks of the frames' size {size} (height, width), got {start.masks.shape[1:]}"
        )
    return pictures


def _masks(
    seen: NDArray[np.bool_], scores: Sequence[float], labels: Sequence[str]
) -> tuple[InstanceMask, ...]:
    return tuple(
        InstanceMask(pixels, label, score, instance_id=number)
        for number, (pixels, score, label) in enumerate(zip(seen, scores, labels, strict=True), start=1)
        if pixels.any()
    )
