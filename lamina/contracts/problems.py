"""What the API and its clients agree on beside the routes: its versions, and one form for every error."""

from __future__ import annotations

from pydantic import Field

from lamina.contracts.base import Event

API_VERSION_HEADER = "X-API-Version"
"""By which a request asks for a version of the API, and an answer names its own."""
API_VERSIONS = ("1",)
"""Versions that there are, the newest last."""


class ProblemDetail(Event):
    """One thing that is wrong. What was sent is never repeated: it may be a secret."""

    field: str = Field(description="Where: a field of the body, a parameter or a header.")
    message: str


class Problem(Event):
    """An error. With status 503 and 429 the header `Retry-After` says after how many seconds to ask again."""

    error: str = Field(description="In one word, such as `invalid_request`.")
    request_id: str | None = Field(description="As in the header `X-Request-ID`, and in the server's log.")
    details: list[ProblemDetail]


class Accepted(Event):
    """That an event was written down, and will be published."""

    accepted: str = Field(description="Id of the transaction or answer that it is about.")
