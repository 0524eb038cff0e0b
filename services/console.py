"""What the command line prints: answers, scenes, tools, traces."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from spatial_agent.prompts.untrusted import printable
from spatial_agent.tools.progress import listening

if TYPE_CHECKING:
    from spatial_agent.agent.answer import Answer
    from spatial_agent.agent.trace import Step
    from spatial_agent.sandbox import ProgramResult
    from spatial_agent.services.doctor import Finding
    from spatial_agent.services.model_store import FileState
    from spatial_agent.services.weights_overview import WeightsStatus
    from spatial_agent.tools.registry import Tool
    from spatial_agent.tools.scene import SceneMap

out = Console(soft_wrap=True, highlight=False)
err = Console(soft_wrap=True, highlight=False, stderr=True)
WEIGHTS_STYLE = {
    "missing": "yellow",
    "incomplete": "red",
    "changed": "red",
    "present": "default",
    "unpinned": "default",
    "verified": "green",
}
STATUS_STYLE = {"ok": "green", "missing": "yellow", "broken": "red"}


def shown(text: str) -> str:
    """Return a text of others as a terminal may have it: no markup, no control sequences, nothing unseen."""
    return escape(printable(text))


@contextmanager
def progress(*, quiet: bool) -> Iterator[None]:
    """Show the progress of long work on the terminal; nothing where output is piped or quiet."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        with listening(show):
            yield


def print_json(data: Mapping[str, Any]) -> None:
    """Print plain JSON."""
    print(json.dumps(data, ensure_ascii=False, indent=2))


def print_answer(answer: "Answer") -> None:
    """Print an answer, then what it rests on."""
    out.print(f"[bold]{shown(answer.text)}[/bold]")
    if answer.reason and not answer.abstained and answer.reason not in answer.text:
        out.print(f"[yellow]{shown(answer.reason)}[/yellow]")
    for sentence in answer.degraded:
        out.print(f"[yellow]degraded: {shown(sentence)}[/yellow]")
    for item in answer.evidence:
        weak = " [yellow](weak)[/yellow]" if item["quality"] == "weak" else ""
        out.print(
            f"  [dim]{shown(item['id'])}  {shown(item['claim'])}  \\[{shown(item['definition'])}][/dim]{weak}"
        )
    costs = f"{answer.seconds:.2f} s"
    if answer.tokens:
        costs += f", decided by {answer.decided_by}, {answer.tokens} tokens"
    out.print(f"[dim]{costs}, scene {answer.scene[:12]}, trace {answer.trace_id}[/dim]")


def print_licences(licences: Sequence[str]) -> None:
    """Print, on the error stream, the licences that the chosen experts bring in."""
    for licence in licences:
        print(f"licence: {licence}", file=sys.stderr)


def print_scene(scene: "SceneMap", written: Sequence[Path]) -> None:
    """Print the objects of a scene and the files that were written."""
    table = Table("object", "centre x y z (m)", "size (m)", "frames", "points")
    for item in scene.objects:
        seen = item.provenance
        table.add_row(
            shown(item.id),
            " ".join(f"{value:.2f}" for value in item.box.centre_m),
            " x ".join(f"{value:.2f}" for value in item.box.extent_m),
            str(len(seen.frames)) if seen else "given",
            str(seen.points) if seen else "",
        )
    out.print(table)
    if scene.room is not None:
        out.print(f"room: {scene.room.area_m2:.1f} m²")
    for note in scene.notes:
        out.print(f"[dim]- {shown(note)}[/dim]")
    for path in written:
        out.print(f"wrote {shown(str(path))}")


def print_tools(tools: "Sequence[Tool]", left_out: Mapping[str, str], *, as_json: bool) -> None:
    """Print the tools, one a line, or all that is known about them, and what was left out and why."""
    for name, reason in left_out.items():
        err.print(shown(f"not in use: {name}: {reason}"), style="yellow")
    if as_json:
        entries = [vars(tool.spec) | {"isolated": tool.is_isolated} for tool in tools]
        print(json.dumps(entries, indent=2, default=str))
        return
    table = Table("name", "kind", "version", "runs", "what it does")
    for tool in tools:
        runs = "isolated" if tool.is_isolated else "trusted"
        table.add_row(*map(shown, (tool.name, tool.kind, tool.version, runs, tool.spec.summary)))
    out.print(table)


def print_conformance(name: str, report: Mapping[str, str], *, as_json: bool) -> None:
    """Print what a tool was checked for and how it did."""
    if as_json:
        print_json({"tool": name, "checks": report})
        return
    table = Table("check", "verdict", title=shown(name))
    for check, verdict in report.items():
        style = "green" if verdict.startswith("ok") else "red"
        table.add_row(shown(check), f"[{style}]{shown(verdict)}")
    out.print(table)


def print_weights(found: "Sequence[WeightsStatus]", folder: Path, *, as_json: bool) -> None:
    """Print all weights, one a line, and the folder they belong in."""
    if as_json:
        entries = [asdict(item.weights) | {**vars(item), "weights": item.weights.name} for item in found]
        print(json.dumps({"folder": str(folder), "weights": entries}, indent=2))
        return
    table = Table()
    for column in ("name", "used by", "licence", "parameters", "on disk", "state"):
        table.add_column(column, overflow="fold")
    for item in found:
        count = f"{item.weights.parameters / 1e6:.1f} M" if item.weights.parameters else ""
        size = f"{item.bytes / 1e6:.1f} MB" if item.bytes else ""
        state = f"[{WEIGHTS_STYLE[item.state]}]{item.state}"
        table.add_row(
            shown(item.weights.name),
            ", ".join(item.used_by),
            shown(item.weights.licence),
            count,
            size,
            state,
        )
    out.print(table)
    out.print(f"in {shown(str(folder))}")


def print_checked_weights(checked: "Mapping[str, Mapping[str, FileState]]", *, as_json: bool) -> None:
    """Print what became of each file of some weights."""
    if as_json:
        print_json(checked)
        return
    table = Table("weights", "file", "state")
    for name, files in checked.items():
        for file, state in files.items():
            table.add_row(shown(name), shown(file), f"[{WEIGHTS_STYLE[state]}]{state}")
    out.print(table)


def print_trace(steps: "Sequence[Step]") -> None:
    """Print the steps of a run."""
    for step in steps:
        out.print(f"[bold]{step.seconds:8.3f} s  {step.kind}[/bold]")
        for name, value in step.data.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            out.print(f"            [dim]{name}[/dim]  {shown(text)}")


def print_program(result: "ProgramResult", written: Sequence[Path], *, as_json: bool) -> None:
    """Print what came of a program: its answer, what it printed, and why it stopped, if it did."""
    answer, error = result.answer, result.error
    if as_json:
        print_json(
            {
                "answer": None if answer is None else asdict(answer),
                "output": result.output,
                "pictures": [str(path) for path in written],
                "calls": [
                    {"id": call.call_id, "tool": call.tool, "error": call.error and str(call.error)}
                    for call in result.results
                ],
                "error": None if error is None else asdict(error),
                "seconds": result.seconds,
                "cpu_seconds": result.cpu_seconds,
                "peak_mb": result.peak_mb,
            }
        )
        return
    if result.output:
        print(printable(result.output.rstrip("\n")))
    if answer is not None:
        margin = (
            "" if answer.low is None or answer.high is None else f" ({answer.low:.4g} to {answer.high:.4g})"
        )
        value = f"{answer.value:.4g}" if isinstance(answer.value, float) else str(answer.value)
        out.print(f"[bold]{shown(value)} {shown(answer.unit or '')}{margin}[/bold]")
    if error is not None:
        out.print(f"[red]{error.kind}: {shown(error.message)}[/red]")
    for path in written:
        out.print(f"wrote {shown(str(path))}")
    calls = len(result.results)
    out.print(f"[dim]{result.seconds:.2f} s, {calls} tool calls, {result.peak_mb:.0f} MB at most[/dim]")


def print_findings(findings: "Sequence[Finding]") -> None:
    """Print what the doctor found."""
    table = Table("what", "status", "detail")
    for finding in findings:
        style = STATUS_STYLE[finding.status]
        table.add_row(finding.what, f"[{style}]{finding.status}[/{style}]", shown(finding.detail))
    out.print(table)
