"""The fields of ``spatial-agent/scan@1``, in a module of their own: only a `scan.json` loads pydantic."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

STRICT = ConfigDict(extra="forbid", strict=True)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Row = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
InstanceId = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]


class ScanIntrinsics(BaseModel):
    """A pinhole, pixels."""

    model_config = STRICT
    fx: Positive
    fy: Positive
    cx: FiniteFloat
    cy: FiniteFloat
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class ScanFrame(BaseModel):
    """One frame: paths inside the folder, pose and pinhole."""

    model_config = STRICT
    color: Text
    depth: Text | None = None
    instances: Text | None = None
    world_from_camera: Annotated[list[Row], Field(min_length=4, max_length=4)] | None = None
    intrinsics: ScanIntrinsics
    time_s: FiniteFloat | None = None


class Scan(BaseModel):
    """A whole `scan.json`."""

    model_config = STRICT
    format: Literal["spatial-agent/scan@1"] = "spatial-agent/scan@1"
    gravity: Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)] | None = None
    depth_scale_m: Positive
    instances: dict[InstanceId, Text] = Field(default_factory=dict)
    frames: Annotated[list[ScanFrame], Field(min_length=1)]
