"""One HTTP connection pool to the API: what is sent, when it is sent again, and how an error looks to the caller."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast
from urllib.parse import quote

import httpx
import orjson
from pydantic import TypeAdapter, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from lamina.contracts.base import Event
from lamina.contracts.problems import API_VERSION_HEADER, API_VERSIONS, ProblemDetail
from lamina.errors import LaminaError
from lamina.proxies import is_here

ATTEMPTS = 3
LONGEST_WAIT_S = 5.0
AGAIN = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed a moment later."""
REQUEST_ID_HEADER = "X-Request-ID"
Asked = bool | int | str | None
"""What stands in a query; None and False are left out."""
T = TypeVar("T")


class ApiError(LaminaError):
    """The API answered with an error. `status` is HTTP's; `request_id` finds it in the server's log."""

    def __init__(self, status: int, error: str, request_id: str | None, details: Sequence[ProblemDetail]) -> None:
        told = "; ".join(f"{each.field}: {each.message}" for each in details)
        super().__init__(f"{status} {error}{f' ({told})' if told else ''}, request {request_id or 'without an id'}")
        self.status, self.error, self.request_id, self.details = status, error, request_id, tuple(details)
        self.retry_after_s: float | None = None


class ApiUnreachable(LaminaError):
    """The API did not answer."""


class Session:
    """Sends requests, again where that is safe and may help: what is sent twice is decided and counted once.

    Args: url: of the API; api_key: where it asks for one; timeout_s: for each attempt; verify: the certificates that
    are trusted, for an address with `https`; transport: another way to the API, such as a test's.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 5.0,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {API_VERSION_HEADER: API_VERSIONS[-1]} | ({} if api_key is None else {"X-API-Key": api_key})
        self._http = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=timeout_s,
            verify=verify,
            transport=transport,
            # Else the payments of this machine go through whatever proxy the environment names.
            trust_env=not is_here(url),
        )
        self._retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS), wait=_wait, retry=retry_if_exception(_may_help), reraise=True
        )

    def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: Event | Sequence[Event] | None = None,
        query: Mapping[str, Asked],
    ) -> T:
        """What the API answers to `body`, or to the path alone, of type `answer`.

        Raises: ApiError: it answered with an error; ApiUnreachable: it did not answer.
        """
        # Only what was asked for: a request without a query takes the API's quickest way.
        params = {name: _text(wanted) for name, wanted in query.items() if wanted not in (None, False)}
        headers = {"Content-Type": "application/json"}
        if body is None:
            # An event has an id, by which the API knows it when it is sent again; this has none but the request's.
            headers = {REQUEST_ID_HEADER: uuid.uuid4().hex}
        found = self._retrying(self._once, method, path, _content(body), params, headers)
        try:
            # A newer server may say more than this client knows.
            return cast(T, _adapter(cast("Hashable", answer)).validate_json(found.content, extra="ignore"))
        except ValidationError as error:
            raise ApiUnreachable(f"{method} {path}: what answers is no API of this version ({error.title})") from None

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def _once(
        self, method: str, path: str, content: bytes | None, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> httpx.Response:
        try:
            found = self._http.request(method, path, content=content, params=params, headers=headers)
        except httpx.HTTPError as error:
            raise ApiUnreachable(f"{self._http.base_url} does not answer: {type(error).__name__}") from error
        if found.is_success:
            return found
        raise _error(found)


def part(text: str) -> str:
    """A text as one part of a path, whatever is in it.

    >>> part("a/b c")
    'a%2Fb%20c'
    """
    return quote(text, safe="")


def _text(wanted: Asked) -> str:
    return "true" if wanted is True else str(wanted)


def _content(body: Event | Sequence[Event] | None) -> bytes | None:
    if body is None or isinstance(body, Event):
        return None if body is None else body.to_json()
    return b"[%s]" % b",".join(row.to_json() for row in body)


@cache
def _adapter(answer: Hashable) -> TypeAdapter[Any]:
    """What reads answers of a type; to make one costs more than to read with it."""
    return TypeAdapter(cast("type[Any]", answer))


def _error(found: httpx.Response) -> ApiError:
    try:
        body: dict[str, Any] = orjson.loads(found.content)
        details = [ProblemDetail.model_validate(each, extra="ignore") for each in body["details"]]
        error = ApiError(found.status_code, str(body["error"]), body["request_id"], details)
    except (ValueError, KeyError, TypeError):
        # Something on the way answered in its own form.
        error = ApiError(found.status_code, found.reason_phrase, found.headers.get("X-Request-ID"), ())
    after = found.headers.get("Retry-After", "")
    error.retry_after_s = float(after) if after.isdigit() else None
    return error


def _may_help(error: BaseException) -> bool:
    return isinstance(error, ApiUnreachable) or (isinstance(error, ApiError) and error.status in AGAIN)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked_s = error.retry_after_s if isinstance(error, ApiError) else None
    by_chance_s: float = wait_random_exponential(multiplier=0.1, max=LONGEST_WAIT_S)(state)
    return min(LONGEST_WAIT_S, by_chance_s + (asked_s or 0.0))
