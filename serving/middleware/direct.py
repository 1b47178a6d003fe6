"""The way of a plain, valid event past the framework. Hot path.

FastAPI describes the routes and answers what is wrong with a request; what it does around a right one costs more than
the models.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from lamina.contracts.base import Event
from lamina.errors import LaminaError
from serving.checks import Checks
from serving.middleware.bodies import replayed
from serving.middleware.errors import answer_to

JSON = b"application/json"
Answer = Callable[[Any, str, int], Awaitable[bytes]]
"""Makes the body of an answer from an event, its request's id and when that arrived, by `time.perf_counter_ns`."""


class DirectRoute:
    """Answers POSTs of one event to `path` by one parse and `answer`; everything else goes on to `app`.

    That is: whatever has a query, another type of content, no length, breaks the contract, or does not pass the checks.

    Args: answer: takes events of `contract`.
    """

    def __init__(self, app: ASGIApp, path: str, contract: type[Event], checks: Checks, answer: Answer) -> None:
        self._app, self._path, self._contract, self._checks, self._answer = app, path, contract, checks, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"] != self._path or not _is_plain(scope):
            await self._app(scope, receive, send)
            return
        received = await receive()
        body = received.get("body", b"")
        while received.get("more_body", False):
            received = await receive()
            body += received.get("body", b"")
        if received["type"] == "http.disconnect":
            return
        event = self._event(body)
        if event is None:
            await self._app(scope, replayed(body, receive), send)
            return
        state = scope["state"]
        try:
            answer = await self._answer(event, state["request_id"], state["started_ns"])
        except LaminaError as error:
            await answer_to(error)(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(answer)), (b"content-type", JSON)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _event(self, body: bytes) -> Event | None:
        try:
            event = self._contract.model_validate_json(body)
        except ValidationError:
            return None
        return event if self._checks.passes(event) else None


def _is_plain(scope: Scope) -> bool:
    if scope["method"] != "POST" or scope["query_string"]:
        return False
    kind = length = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"content-length":
            length = value
    return kind == JSON and length is not None
