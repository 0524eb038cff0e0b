"""The command that runs a program in the sandbox."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spatial_agent.services.cli_errors import Exit, reported_errors
from spatial_agent.tools.errors import SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def run_command(
    program: Annotated[Path, typer.Argument(help="A Python file.")],
    source: Annotated[str, typer.Argument(help="A scan folder, video, image, or a scene file (.json).")],
    pictures: Annotated[Path | None, typer.Option(help="Folder for the pictures it shows (.png).")] = None,
    wall: Annotated[
        float, typer.Option(help="Wall time it may take without its tool calls, seconds.")
    ] = 10.0,
    memory: Annotated[int, typer.Option(help="Memory it may take, MB.")] = 512,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Run a program over a scene in the sandbox: it can measure, and nothing else."""
    from spatial_agent.services import console

    with reported_errors(), console.progress(quiet=as_json):
        from spatial_agent.sandbox import SandboxPolicy
        from spatial_agent.services import open_agent
        from spatial_agent.services.programs import run_program
        from spatial_agent.services.sandboxes import open_sandbox

        if not program.is_file():
            raise SourceError(f"{program}: there is no such file")
        text = program.read_text(encoding="utf-8")
        sandbox = open_sandbox()
        try:
            with open_agent() as agent:
                policy = SandboxPolicy(wall_s=wall, memory_mb=memory)
                result = run_program(agent, source, text, sandbox, policy)
        finally:
            sandbox.close()
        written = _write_pictures(pictures, [shown.rgb for shown in result.images])
    console.print_program(result, written, as_json=as_json)
    raise typer.Exit(Exit.ANSWERED if result.error is None else Exit.EXPERT_FAILED)


def _write_pictures(folder: Path | None, images: "Sequence[NDArray[np.uint8]]") -> list[Path]:
    if folder is None:
        return []
    from PIL import Image

    from spatial_agent.tools.whole_file import write_whole

    written = []
    for number, rgb in enumerate(images, 1):
        path = folder / f"{number}.png"
        picture = Image.fromarray(rgb)
        write_whole(path, lambda partial, picture=picture: picture.save(partial, format="PNG"))  # type: ignore[misc]
        written.append(path)
    return written
