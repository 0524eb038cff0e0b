"""Every error this package raises on purpose, sorted by who must act.

::

    SpatialAgentError
    ├── InvalidValueError (ValueError)   whoever built the value
    │   ├── ShapeError                   an array has the wrong shape, type or content
    │   ├── UnitError                    a unit is unknown or does not fit the quantity
    │   ├── ScaleError                   metres asked of a scene without metric scale
    │   └── ViewpointError               a direction asked without a usable viewpoint or gravity
    ├── SourceError (ValueError)         whoever owns the input files
    │   └── UnmeasurableError            they can be looked at, but nothing in them can be measured
    ├── ToolError                        the planner reads it and decides what to do next
    │   ├── ToolArgumentError            correct the call and try again
    │   ├── ToolFailedError              this cannot be measured this way; choose another tool
    │   │   ├── NoSuchObjectError        nothing in the scene is what was named
    │   │   ├── AmbiguousReferenceError  several things in the scene are what was named
    │   │   ├── ToolTimeoutError         it was stopped at its deadline
    │   │   └── ToolCrashedError         its process died, ran out of memory, or gave back garbage
    │   └── ToolUnavailableError         not registered, not installed, or broken for now
    │       └── MissingWeightsError      its weights are not on this machine
    ├── QuestionError                    the planner could not understand the question
    ├── StoppedError                     nobody: whoever waited for the work no longer does
    ├── BudgetExceededError              the run ends, with its trace
    ├── ModelError                       the operator; the run goes on without the model where it can
    │   ├── ModelUnavailableError        it cannot be reached, refuses the key, or keeps failing
    │   └── ModelRequestError            it refuses a request: too long, or a part it does not take
    ├── SandboxError                     the operator; never shown to a model as a program's output
    │   ├── SandboxUnavailableError      there is no sandbox here, or it broke down
    │   ├── SandboxClosedError           the session has ended; open another
    │   └── WireError                    what should be a value or a message is not one
    └── ConfigurationError               whoever started the program

Only the message of a `ToolError` is ever put before a model. A message says what was
expected, what came, and what to do.
"""

__all__ = [
    "AmbiguousReferenceError",
    "BudgetExceededError",
    "ConfigurationError",
    "InvalidValueError",
    "MissingWeightsError",
    "ModelError",
    "ModelRequestError",
    "ModelUnavailableError",
    "NoSuchObjectError",
    "QuestionError",
    "SandboxClosedError",
    "SandboxError",
    "SandboxUnavailableError",
    "ScaleError",
    "ShapeError",
    "SourceError",
    "SpatialAgentError",
    "StoppedError",
    "ToolArgumentError",
    "ToolCrashedError",
    "ToolError",
    "ToolFailedError",
    "ToolTimeoutError",
    "ToolUnavailableError",
    "UnitError",
    "UnmeasurableError",
    "ViewpointError",
    "WireError",
]


class SpatialAgentError(Exception):
    """Base of every error raised on purpose."""


class InvalidValueError(SpatialAgentError, ValueError):
    """A value that cannot exist was about to be built."""


class ShapeError(InvalidValueError):
    """An array has the wrong shape, dtype or content."""


class UnitError(InvalidValueError):
    """A unit is unknown, or does not belong to the quantity."""


class ScaleError(InvalidValueError):
    """A metric quantity was asked of a scene whose scale is only relative."""


class ViewpointError(InvalidValueError):
    """A direction was asked without a usable viewpoint, or without gravity."""


class SourceError(SpatialAgentError, ValueError):
    """The input files cannot be read as what they claim to be."""


class UnmeasurableError(SourceError):
    """The source opens, and has nothing to measure by: no depth, no poses, no network that gives them."""


class ToolError(SpatialAgentError):
    """Something a planner can react to."""


class ToolArgumentError(ToolError):
    """The call's arguments are wrong: correct them and try again."""


class ToolFailedError(ToolError):
    """The tool ran and cannot answer: missing or ambiguous evidence."""


class NoSuchObjectError(ToolFailedError):
    """Nothing in the scene is what was named.

    Attributes:
        suggestions: Labels that may have been meant; empty where none comes near.
    """

    def __init__(self, message: str, suggestions: tuple[str, ...] = ()) -> None:
        """Keep what may have been meant beside the message."""
        super().__init__(message)
        self.suggestions = suggestions


class AmbiguousReferenceError(ToolFailedError):
    """Several things in the scene are what was named, where one was meant.

    Attributes:
        candidates: Ids of the objects that fit.
    """

    def __init__(self, message: str, candidates: tuple[str, ...] = ()) -> None:
        """Keep what fits beside the message."""
        super().__init__(message)
        self.candidates = candidates


class ToolTimeoutError(ToolFailedError):
    """The tool was stopped because it took longer than the call's deadline."""


class ToolCrashedError(ToolFailedError):
    """The tool's process died, exceeded its memory, or gave back something that is not its result."""


class ToolUnavailableError(ToolError):
    """The tool is not registered, what it needs is not installed, or it has failed too often lately."""


class MissingWeightsError(ToolUnavailableError):
    """The weights of the tool are not on this machine; the message says how to get them."""


class QuestionError(SpatialAgentError, ValueError):
    """The planner could not turn the question into a spatial task."""


class StoppedError(SpatialAgentError):
    """The work was given up because nobody waits for it any more."""


class BudgetExceededError(SpatialAgentError):
    """The run used up its turns, calls or seconds."""


class ModelError(SpatialAgentError):
    """The model failed, not the question."""


class ModelUnavailableError(ModelError):
    """The model cannot be reached, refuses the key, or keeps failing."""


class ModelRequestError(ModelError):
    """The model refuses a request: it is too long, or has a part that the model does not take."""


class SandboxError(SpatialAgentError):
    """A program could not be run as it has to be: for the operator, never for a model to read."""


class SandboxUnavailableError(SandboxError):
    """This machine has no sandbox that holds, or the one there was broke down."""


class SandboxClosedError(SandboxError):
    """The session has ended; the message says why."""


class WireError(SandboxError):
    """What should be a value or a message of the wire is not one."""


class ConfigurationError(SpatialAgentError):
    """A setting, profile or installation is wrong."""
