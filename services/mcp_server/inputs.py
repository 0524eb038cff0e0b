"""What the tools of the MCP server take, beside the experts, whose own signatures say it."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spatial_agent.services.api.schemas import RegionModel, Text
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import ToolArgumentError

SOURCE_TEXT = (
    "What it is about: path of a scan folder, scan.json, video, picture or scene file (.json), inside the "
    "folders that this server may open; or sample:NAME for a sample."
)
SourceText = Annotated[str, Field(min_length=1, max_length=4096, description=SOURCE_TEXT)]
Picture = Annotated[bool, Field(description="Whether to send a picture along.")]


class Input(BaseModel):
    """Arguments of a tool: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AskInput(Input):
    """Arguments of ``ask``."""

    source: SourceText
    question: Text = Field(
        description="The question, in English, such as 'How far is the sofa from the table?' or 'Which is "
        "closer to the door, the lamp or the chair?'; <region 1> stands for the first region."
    )
    options: Annotated[list[Annotated[str, Field(min_length=1, max_length=400)]], Field(max_length=26)] = (
        Field(default_factory=list, description="The answers offered, with or without letters.")
    )
    regions: Annotated[list[RegionModel], Field(max_length=20)] = Field(
        default_factory=list, description="What is marked on frames, pixels."
    )
    after: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Id of the answer that the question goes on from, as in 'and how tall is it?'."
    )
    picture: Picture = False


class BuildSceneInput(Input):
    """Arguments of ``build_scene``."""

    source: SourceText
    picture: Picture = False


class MeasureInput(Input):
    """Arguments of ``measure``."""

    source: SourceText
    what: Annotated[str, Field(max_length=80, description="What to measure.")]
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Its arguments, as the description of this tool lists them."
    )


Arguments = TypeVar("Arguments", bound=Input)


def read_input(kind: type[Arguments], tool: str, given: Json) -> Arguments:
    """Return the arguments of a tool.

    Raises:
        ToolArgumentError: If one is unknown, missing or out of range.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise ToolArgumentError(f"{tool}: {faults}; it takes {', '.join(kind.model_fields)}") from None
