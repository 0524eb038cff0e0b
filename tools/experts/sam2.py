"""Masks from boxes, points or rough masks by SAM 2.1; each picture is embedded once, however often prompted.

Source: Ravi et al., SAM 2: Segment Anything in Images and Videos, 2024.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.batching import each, only, together
from spatial_agent.tools.experts.embeddings import Embeddings
from spatial_agent.tools.experts.masks import mask_boxes
from spatial_agent.tools.experts.pretrained import (
    Picture,
    hub_weights,
    on_gpu,
    parts,
    picture_of,
    prepared,
    read_network,
    read_processor,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame, InstanceMask

Array = NDArray[np.float64]

#: Pictures whose embeddings are kept; one of 1024 x 1024 takes 17 MB.
KEPT_PICTURES = 16
#: Pictures embedded, and objects decoded, in one pass: a processor gains nothing from more.
EMBEDDED_AT_ONCE, DECODED_AT_ONCE = 8, 32
ON_A_PROCESSOR = 1, 8
#: A rough mask is handed over as logits of this size.
MASK_LOGIT = 10.0

#: The four published sizes; parameters counted on the architectures, with those for video.
SAM2_WEIGHTS = (
    hub_weights("facebook/sam2.1-hiera-tiny", "Apache-2.0", 38_962_498),
    hub_weights("facebook/sam2.1-hiera-small", "Apache-2.0", 46_060_354),
    hub_weights("facebook/sam2.1-hiera-base-plus", "Apache-2.0", 80_850_178),
    hub_weights("facebook/sam2.1-hiera-large", "Apache-2.0", 224_446_642),
)


@dataclass(frozen=True, eq=False)
class _Shown:
    """Objects of one picture that are shown in one way, in its pixels.

    Attributes:
        rgb: The picture.
        labels: What the objects are called.
        given: Their boxes, or None.
        points: x, y and 1 (on it) or 0 of each point, shape (K, 3), or None.
        mask: Roughly the object, or None.
    """

    rgb: Picture
    labels: tuple[str, ...]
    given: Detections | None = None
    points: Array | None = None
    mask: NDArray[np.bool_] | None = None

    @property
    def kind(self) -> tuple[bool, bool, int, bool]:
        """What must be equal for objects to be decoded together."""
        points = 0 if self.points is None else len(self.points)
        return bool(self.labels), self.given is not None, points, self.mask is not None


@expert(
    "segment.sam2",
    weights=SAM2_WEIGHTS,
    resources=Resources(threads=2, deadline_s=120.0, most_batched=EMBEDDED_AT_ONCE),
)
class Sam2:
    """SAM 2.1 for single pictures.

    Args:
        weights: Folder of the network.
    """

    def __init__(self, weights: Path) -> None:
        """Load nothing yet."""
        self._weights = weights
        self._embeddings: Embeddings[list[Any]] = Embeddings(KEPT_PICTURES)
        self._device = "cpu"
        self._at_once = ON_A_PROCESSOR
        self._model: Any = None
        self._processor: Any = None

    def load(self, device: str) -> None:
        """Read the network and put it on a device."""
        self._device = device
        self._processor = read_processor("Sam2ImageProcessor", self._weights)
        self._model = read_network("Sam2Model", self._weights, device)
        self._embeddings.clear()
        self._at_once = (EMBEDDED_AT_ONCE, DECODED_AT_ONCE) if on_gpu(device) else ON_A_PROCESSOR
        if on_gpu(device):
            encode_in_half(self._model)

    def __call__(
        self,
        frame: Frame,
        boxes: Detections | None = None,
        points_px: list[list[float]] | None = None,
        mask: InstanceMask | None = None,
        label: str = "object",
    ) -> Detections:
        """Outline objects that boxes, points or a rough mask show.

        Boxes give one mask each, with the boxes, labels and scores that were given. Points and a rough mask
        show one object together; its score is how well the network expects the mask to fit, as
        intersection over union. To correct a mask, give it with points on and beside the object.

        Args:
            frame: A frame with its picture.
            boxes: Where objects are.
            points_px: [x, y, 1] on one object or [x, y, 0] beside it.
            mask: Roughly one object, of the picture's size.
            label: What to call the object that points or a mask show.

        Returns:
            Detections with masks of the picture's size; they may overlap.

        Raises:
            ToolArgumentError: If nothing is prompted, or a prompt does not fit the picture.
            ToolFailedError: If the frame has no picture.
        """
        call = {"frame": frame, "boxes": boxes, "points_px": points_px, "mask": mask, "label": label}
        return only(self.batch([call]))

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Detections | Exception]:
        """Outline the objects of several calls; pictures are embedded together."""
        return together(
            each(calls, _checked), lambda request: tuple(shown.kind for shown in request), self._segment
        )

    def _segment(self, requests: Sequence[Sequence[_Shown]]) -> list[Detections]:
        """Answer requests whose prompts are of the same kinds."""
        found = [self._outlined(column) for column in zip(*requests, strict=True)]
        return [_joined(answers) for answers in zip(*found, strict=True)]

    def _outlined(self, shown: Sequence[_Shown]) -> list[Detections]:
        """Outline objects that are shown in one way."""
        import torch

        if not shown[0].labels:
            return [_nothing(one) for one in shown]
        with torch.inference_mode():
            return self._decode(shown, self._embeddings.of([one.rgb for one in shown], self._embed))

    def _embed(self, pictures: list[Picture]) -> list[list[Any]]:
        """Return the three feature maps of each picture, shape (1, C, h, w) each."""
        embedded = []
        for part in parts(pictures, self._at_once[0]):
            levels = self._model.get_image_embeddings(self._pixels(part))
            # Copies, since a view would keep the maps of all neighbours alive.
            embedded += [[level[k : k + 1].float().clone() for level in levels] for k in range(len(part))]
        return embedded

    def _pixels(self, pictures: Sequence[Picture]) -> Any:  # noqa: ANN401 - a tensor
        pixels = prepared(self._processor, pictures, self._device).pixel_values
        return pixels.to(next(self._model.vision_encoder.parameters()).dtype)

    def _decode(self, shown: Sequence[_Shown], embeddings: Sequence[list[Any]]) -> list[Detections]:
        owners = [number for number, one in enumerate(shown) for _ in one.labels]
        boxes, points, masks = self._prompts(shown)
        masks_found: list[list[NDArray[np.bool_]]] = [[] for _ in shown]
        scores_found: list[list[float]] = [[] for _ in shown]
        for part in parts(range(len(owners)), self._at_once[1]):
            own = [owners[number] for number in part]
            rows = slice(part[0], part[-1] + 1)
            outputs = self._model(
                image_embeddings=_gathered([embeddings[owner] for owner in own]),
                input_boxes=None if boxes is None else boxes[rows],
                input_points=None if points is None else points[rows, ..., :2],
                input_labels=None if points is None else points[rows, ..., 2].int(),
                input_masks=None if masks is None else masks[rows],
                # One point may mean a thing or a part of it: the surest of three masks is taken.
                multimask_output=shown[0].kind == (True, False, 1, False),
            )
            for owner, logits, fit in zip(own, outputs.pred_masks, outputs.iou_scores, strict=True):
                best = int(fit[0].argmax())
                masks_found[owner].append(upscaled(logits[:, best], shown[owner].rgb.shape[:2])[0])
                scores_found[owner].append(float(fit[0, best].clamp(0, 1)))
        return [
            _detections(one, np.array(masks), np.array(scores))
            for one, masks, scores in zip(shown, masks_found, scores_found, strict=True)
        ]

    def _prompts(self, shown: Sequence[_Shown]) -> tuple[Any, Any, Any]:
        """Return boxes (n, 1, 4), points with labels (n, 1, k, 3) and masks (n, 1, s, s) for the network."""
        import torch

        boxes = points = masks = None
        size = self._model.prompt_encoder.input_image_size
        corners = [in_network(one.given.xyxy_px, one.rgb.shape, size) for one in shown if one.given]
        placed = [
            np.column_stack([in_network(one.points[:, :2], one.rgb.shape, size), one.points[:, 2]])
            for one in shown
            if one.points is not None
        ]
        rough = [self._mask_logits(one.mask) for one in shown if one.mask is not None]
        if corners:
            boxes = torch.from_numpy(np.concatenate(corners)).float()[:, None].to(self._device)
        if placed:
            points = torch.from_numpy(np.array(placed)).float()[:, None].to(self._device)
        if rough:
            masks = torch.cat(rough)
        return boxes, points, masks

    def _mask_logits(self, mask: NDArray[np.bool_]) -> Any:  # noqa: ANN401 - a tensor
        import torch
        from torch.nn.functional import interpolate

        share = torch.tensor(mask, dtype=torch.float32, device=self._device)[None, None]
        small = interpolate(
            share, self._model.prompt_encoder.mask_input_size, mode="bilinear", antialias=True
        )
        return (2 * small - 1) * MASK_LOGIT


def in_network(xy_px: Array, shape: tuple[int, ...], size: int) -> Array:
    """Return where places of a picture lie in the network's square input, as its prompts count.

    The prompt encoder adds half a pixel to what it is given, so that whole numbers are pixel centres, as
    they are in the picture.

    Args:
        xy_px: x and y in turn along the last axis, pixels: shape (N, 2), or (N, 4) for boxes.
        shape: Height and width of the picture.
        size: Edge of the square, pixels.

    >>> in_network(np.array([[-0.5, -0.5, 639.5, 479.5]]), (480, 640), 1024).tolist()
    [[-0.5, -0.5, 1023.5, 1023.5]]
    """
    scale = np.tile([size / shape[1], size / shape[0]], xy_px.shape[-1] // 2)
    placed: Array = (xy_px + 0.5) * scale - 0.5
    return placed


def upscaled(logits: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:  # noqa: ANN401 - a tensor
    """Return which pixels of a picture masks cover.

    Args:
        logits: Shape (N, h, w): above 0 inside, over the whole picture.
        shape: Height and width of the picture.
    """
    from torch.nn.functional import interpolate

    full = interpolate(logits[:, None].float(), tuple(shape), mode="bilinear", align_corners=False)
    pixels: NDArray[np.bool_] = (full[:, 0] > 0).cpu().numpy()
    return pixels


def encode_in_half(model: Any) -> None:  # noqa: ANN401 - a network
    """Let a network look at pictures in half precision.

    Prompts are decoded in single precision: half of it would place them pixels apart.
    """
    for module in (model.vision_encoder, model.mask_decoder.conv_s0, model.mask_decoder.conv_s1):
        module.bfloat16()


def _checked(
    frame: Frame,
    boxes: Detections | None = None,
    points_px: Sequence[Sequence[float]] | None = None,
    mask: InstanceMask | None = None,
    label: str = "object",
) -> tuple[_Shown, ...]:
    """Return what a call shows in boxes, and what in points or a mask."""
    rgb = picture_of(frame)
    shown: list[_Shown] = []
    if boxes is not None:
        shown.append(_Shown(rgb, boxes.labels, boxes))
    if points_px or mask is not None:
        placed = _placed(points_px, rgb.shape) if points_px else None
        pixels = None if mask is None else _sized(mask, rgb.shape)
        shown.append(_Shown(rgb, (label,), None, placed, pixels))
    if not shown:
        raise ToolArgumentError("expected something to outline; give boxes, points_px or a mask")
    return tuple(shown)


def _sized(mask: InstanceMask, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if mask.pixels.shape != shape[:2]:
        raise ToolArgumentError(
            f"mask: expected the picture's size, {shape[:2]} (height, width), got {mask.pixels.shape}"
        )
    return mask.pixels


def _placed(points_px: Sequence[Sequence[float]], shape: tuple[int, ...]) -> Array:
    """Return points as an array (K, 3) of x, y and label."""
    height, width = shape[:2]
    for point in points_px:
        if len(point) != 3 or point[2] not in (0, 1):
            raise ToolArgumentError(f"points_px: expected [x, y, 1] or [x, y, 0] each, got {list(point)!r}")
        if not (-0.5 <= point[0] <= width - 0.5 and -0.5 <= point[1] <= height - 0.5):
            raise ToolArgumentError(
                f"points_px: expected x and y inside the {width} x {height} picture, got {list(point)!r}"
            )
    return np.array(points_px, np.float64)


def _nothing(shown: _Shown) -> Detections:
    masks = np.zeros((0, *shown.rgb.shape[:2]), bool)
    return Detections(np.empty((0, 4)), np.empty(0), (), masks)


def _detections(shown: _Shown, masks: NDArray[np.bool_], scores: Array) -> Detections:
    if shown.given is not None:
        return Detections(shown.given.xyxy_px, shown.given.scores, shown.labels, masks)
    if not masks.any():
        return _nothing(shown)
    return Detections(mask_boxes(masks), scores, shown.labels, masks)


def _joined(found: Sequence[Detections]) -> Detections:
    if len(found) == 1:
        return found[0]
    return Detections(
        np.concatenate([one.xyxy_px for one in found]),
        np.concatenate([one.scores for one in found]),
        tuple(label for one in found for label in one.labels),
        np.concatenate([one.masks for one in found if one.masks is not None]),
    )


def _gathered(embeddings: Sequence[list[Any]]) -> list[Any]:
    """Return the feature maps of each object's picture, shape (n, C, h, w) each."""
    import torch

    first, *others = embeddings
    if all(other is first for other in others):
        return [level.expand(len(embeddings), -1, -1, -1) for level in first]
    return [torch.cat(levels) for levels in zip(*embeddings, strict=True)]
