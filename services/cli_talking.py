"""The commands that ask more than once: a dialogue, and the same question along a recording."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from spatial_agent.prompts.untrusted import printable
from spatial_agent.services.cli_errors import Exit, reported_errors
from spatial_agent.services.cli_options import InterfaceOption, ModelOption, ProfileOption, SourceArgument

PROMPT = "> "


def series_command(
    source: SourceArgument,
    question: Annotated[str, typer.Argument(help="The question, in English; it names no frame.")],
    every: Annotated[
        str, typer.Option(help="Length of a step: frame, second, '5 frames', '0.5 s'.")
    ] = "frame",
    profile: ProfileOption = "recorded",
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole series as JSON.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write a plot of it here (.png).")] = None,
) -> None:
    """Answer the same question for every frame or second of a recording."""
    from spatial_agent.services import console

    with reported_errors(), console.progress(quiet=as_json):
        from spatial_agent.services import open_agent

        with open_agent(profile, model="none") as agent:
            found = agent.series(source, question, every=every)
        if picture is not None:
            from spatial_agent.services.series_picture import write_series_picture

            write_series_picture(found, picture)
    console.print_json(found.to_json()) if as_json else print(printable(found.table()))
    answered = any(row.value is not None for row in found.rows)
    raise typer.Exit(Exit.ANSWERED if answered else Exit.ABSTAINED)


def chat_command(
    source: SourceArgument,
    profile: ProfileOption = "recorded",
    model: ModelOption = None,
    interface: InterfaceOption = "tools",
) -> None:
    """Ask one question after the other; each may go on from those before. An empty line ends it."""
    from spatial_agent.services import console

    with reported_errors():
        from spatial_agent.services import open_agent
        from spatial_agent.tools.errors import QuestionError

        with open_agent(profile, model=model, interface=interface) as agent:
            session = agent.session(source)
            for question in _questions():
                try:
                    answer = session.ask(question)
                except QuestionError as error:
                    print(printable(str(error)))
                    continue
                understood = session.dialogue.exchanges[-1].question
                if understood != question:
                    print(f"({printable(understood)})")
                console.print_answer(answer)


def _questions() -> Iterator[str]:
    """Yield what is typed, line by line, up to an empty line or the end of the input."""
    shown = PROMPT if sys.stdin.isatty() else ""
    while True:
        print(shown, end="", flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line
