"""Faults in what programs say, how they fail, and what goes into them."""

from dataclasses import replace
from typing import Any

import numpy as np

from spatial_agent.sandbox import ProgramAnswer, ProgramError, ProgramResult, SandboxPolicy, ShownImage
from spatial_agent.tools.scene import OrientedBox, SceneMap
from tests.sandbox.faults.faulty import Fault, FaultySession, Inputs, Ran


def is_empty(cell: str) -> bool:
    return all(line in ("", "pass") or line.startswith("#") for line in cell[:1000].splitlines())


def about_nothing(ran: Ran) -> ProgramResult:
    says_nothing = is_empty(ran.cell) and ran.result.error is None
    return ran.but(output="(no output)\n") if says_nothing else ran.result


def in_ascii(ran: Ran) -> ProgramResult:
    short = len(ran.result.output.encode()) < 500
    return ran.but(output=ascii(ran.result.output)[1:-1].replace("\\n", "\n")) if short else ran.result


def without_warnings(ran: Ran) -> ProgramResult:
    lines = ran.result.output.splitlines(keepends=True)
    return ran.but(output="".join(line for line in lines if "Warning" not in line))


def without_interval(ran: Ran) -> ProgramResult:
    answer = ran.result.answer
    return ran.but(answer=answer and replace(answer, low=None, high=None))


def last_answer(ran: Ran) -> ProgramResult:
    ran.kept["answer"] = ran.result.answer or ran.kept.get("answer")
    return ran.but(answer=ran.kept["answer"])


def any_object(ran: Ran) -> ProgramResult:
    if ran.cell == "answer(object())":
        return ran.but(answer=ProgramAnswer(object()), error=None)
    return ran.result


def with_machinery(ran: Ran) -> ProgramResult:
    error = ran.result.error
    if error is None or error.kind != "exception":
        return ran.result
    return ran.but(error=replace(error, message=f"in spatial_agent.sandbox.worker: {error.message}"))


class EndsAtExit(FaultySession):
    """Takes a program's SystemExit for its process's end."""

    async def run(self, cell: str) -> ProgramResult:
        result = await super().run(cell)
        if "SystemExit" in cell:
            await self.close()
        return result


def runs_until_there(ran: Ran) -> ProgramResult:
    error = ran.result.error
    return ran.but(output="ran\n") if error is not None and error.kind == "syntax" else ran.result


def trips_over_nul(cell: str) -> str:
    compile(cell[:1000], "<cell>", "exec") if "\0" in cell else None
    return cell


def allows(name: str, policy: SandboxPolicy) -> SandboxPolicy:
    return replace(policy, imports=policy.imports | {name})


def forbids(name: str, policy: SandboxPolicy) -> SandboxPolicy:
    return replace(policy, imports=policy.imports - {name})


def lists_for_tuples(inputs: Inputs) -> Inputs:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in inputs.items()}


def wider_halves(inputs: Inputs) -> Inputs:
    def wider(value: object) -> object:
        is_half = isinstance(value, np.ndarray) and value.dtype == np.float16
        return value.astype(np.float32) if isinstance(value, np.ndarray) and is_half else value

    return {name: wider(value) for name, value in inputs.items()}


def short_arrays(inputs: Inputs) -> Inputs:
    return {
        name: value[: 2**18] if isinstance(value, np.ndarray) and value.ndim else value
        for name, value in inputs.items()
    }


def no_cameras(inputs: Inputs) -> Inputs:
    return {
        name: replace(value, cameras=()) if isinstance(value, SceneMap) else value
        for name, value in inputs.items()
    }


def larger_boxes(inputs: Inputs) -> Inputs:
    return {
        name: replace(value, extent_m=2 * value.extent_m) if isinstance(value, OrientedBox) else value
        for name, value in inputs.items()
    }


def shared_memory(ran: Ran) -> ProgramResult:
    array: Any = ran.inputs.get("array")
    if ".fill(7)" in ran.cell and array is not None:
        array[0] = 99.0
    return ran.result


def only_what_can_be_sent(inputs: Inputs) -> Inputs:
    return {name: str(value) if type(value) is object else value for name, value in inputs.items()}


def writable(ran: Ran) -> ProgramResult:
    images = tuple(ShownImage(np.array(shown.rgb), shown.caption) for shown in ran.result.images)
    return ran.but(images=images)


def blank_instead(ran: Ran) -> ProgramResult:
    is_missing = "show('a.png')" in ran.cell
    return ran.but(images=(ShownImage(np.zeros((1, 1, 3), np.uint8)),)) if is_missing else ran.result


def no_kind(ran: Ran) -> ProgramResult:
    return ran.but(error=ProgramError("crash", "it ended")) if "parsec" in ran.cell else ran.result


#: Each by the one check that has to find it.
FAULTS = {
    "empty": Fault(outcome=about_nothing),
    "printing": Fault(outcome=in_ascii),
    "last expression": Fault(source=lambda cell: cell + "\nNone"),
    "warnings shown": Fault(outcome=without_warnings),
    "answering": Fault(outcome=without_interval),
    "no answer yet": Fault(outcome=last_answer),
    "wrong unit": Fault(outcome=no_kind),
    "impossible answers": Fault(source=lambda cell: cell.replace("float('nan')", "0.0")),
    "only plain": Fault(outcome=any_object),
    "exceptions": Fault(outcome=with_machinery),
    "odd exceptions": Fault(session=EndsAtExit),
    "syntax errors": Fault(outcome=runs_until_there),
    "hostile source": Fault(source=trips_over_nul),
    "refused imports": Fault(limits=lambda policy: allows("os", policy)),
    "allowed imports": Fault(limits=lambda policy: forbids("statistics", policy)),
    "own imports": Fault(limits=lambda policy: allows("json", policy)),
    "plain inputs": Fault(inputs=lists_for_tuples),
    "array inputs": Fault(inputs=wider_halves),
    "large inputs": Fault(inputs=short_arrays),
    "scene inputs": Fault(inputs=no_cameras),
    "scene operators": Fault(inputs=larger_boxes),
    "untouched inputs": Fault(outcome=shared_memory),
    "refused inputs": Fault(inputs=only_what_can_be_sent),
    "pictures": Fault(outcome=writable),
    "no pictures": Fault(outcome=blank_instead),
}
