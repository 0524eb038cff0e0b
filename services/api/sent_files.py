"""Files as responses, whose refusals are problem+json too."""

from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from spatial_agent.services.api.handlers import ProblemResponse
from spatial_agent.services.api.problems import plain_problem

_WHY = {
    400: "Range: expected one part or more, such as bytes=0-1023",
    416: "Range: the file has no such part; Content-Range says how long it is",
}


class SentFile(FileResponse):
    """A file, or the parts of it that `Range` asks for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; a `Range` that cannot be is refused in words."""
        refused: list[Message] = []

        async def checked(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _WHY:
                refused.append(message)
            elif not refused:
                await send(message)

        await super().__call__(scope, receive, checked)
        if refused:
            await _problem(refused[0], scope.get("state", {}).get("request_id", ""))(scope, receive, send)


def _problem(refused: Message, request_id: str) -> ProblemResponse:
    status = int(refused["status"])
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in refused["headers"]
        if name.lower() == b"content-range"
    }
    return ProblemResponse(plain_problem(status, _WHY[status]) | {"instance": request_id}, headers)
