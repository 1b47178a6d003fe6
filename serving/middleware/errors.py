"""Every error's way to an HTTP answer, in one place. An answer names what was wrong and never repeats what was sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from lamina.errors import (
    ContractError,
    DecisionPending,
    LaminaError,
    ModelUnavailable,
    Overloaded,
    PredictionTimeout,
    RepeatedOtherwise,
    StoreUnavailable,
    UnknownModel,
)
from lamina.monitoring import metrics
from serving.masking import REQUEST_ID, mask
from serving.stages.journal import JournalFull

log = logging.getLogger(__name__)

STATUS: tuple[tuple[type[LaminaError], int], ...] = (
    (ContractError, 422),
    (UnknownModel, 404),
    (StoreUnavailable, 503),
    (ModelUnavailable, 503),
    (Overloaded, 503),
    (PredictionTimeout, 504),
    (JournalFull, 503),
    (RepeatedOtherwise, 409),
    (DecisionPending, 503),
    (LaminaError, 500),
)
NAMES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
TOLD: dict[int, tuple[str, str]] = {
    400: ("body", "cannot be read: send JSON in UTF-8, and `Content-Type: application/json`"),
    401: ("X-API-Key", "is missing, or no key that is known here"),
    403: ("X-API-Key", "has not the right to this; without a file of keys only this machine has it"),
    404: ("path", "there is no such route: /docs lists those that there are"),
    405: ("method", "is not one that this route answers: /docs lists them"),
    408: ("body", "did not arrive in time"),
    413: ("body", "is longer than a request may be: send fewer rows at once"),
    429: ("X-API-Key", "has too many requests: come again after `Retry-After` seconds"),
}
"""What is wrong with a request that no route has looked into: the field, and a sentence."""
SHAPES = {"model_attributes_type": "a JSON object", "list_type": "a JSON array", "missing": "JSON"}
"""What a route expects of a body that is something else, by pydantic's name of the error."""
LONGEST_FIELD = 128
RETRY_AFTER_S = 1


def problem(
    status: int, error: str, details: Sequence[dict[str, str]] = (), *, retry_after_s: int | None = None
) -> Response:
    """An answer with the error in one word, the request's id, and for bad input each field with what is wrong."""
    metrics.INVALID_REQUESTS.labels(str(status)).inc()
    if not details and (told := TOLD.get(status)) is not None:
        details = [{"field": told[0], "message": told[1]}]
    body = {"error": error, "request_id": REQUEST_ID.get(), "details": list(details)}
    headers = None if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return Response(orjson.dumps(body), status, headers, "application/json")


def unexpected(error: Exception) -> Response:
    """The answer to an error that nothing expected; its traceback goes to the log."""
    if isinstance(error, LaminaError):
        return answer_to(error)
    log.error("a request failed", exc_info=error)
    return problem(500, "internal_error")


def install(app: FastAPI) -> None:
    """Map every error that a route of `app` may raise."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(LaminaError, _own)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(422, "invalid_request", [_detail(each) for each in error.errors()])


def _detail(each: dict[str, Any]) -> dict[str, str]:
    # Of pydantic's answer only place and sentence: `input` and `ctx` hold what was sent.
    parts = [str(part) for part in each["loc"]]
    if parts[0] == "body" and len(parts) > 1:
        parts = parts[1:]
    field = ".".join(parts) if each["type"] != "json_invalid" else "body"
    message = "is not valid JSON" if each["type"] == "json_invalid" else str(each["msg"])
    if each["loc"] == ("body",) and (shape := SHAPES.get(each["type"])) is not None:
        message = f"must be {shape}, with `Content-Type: application/json`"
    return {"field": mask(field)[:LONGEST_FIELD], "message": message}


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, NAMES.get(error.status_code, "bad_request"))


async def _own(_: Request, error: Exception) -> Response:
    assert isinstance(error, LaminaError)
    return answer_to(error)


def answer_to(error: LaminaError) -> Response:
    """The answer to one of our own errors."""
    status = next(code for kind, code in STATUS if isinstance(error, kind))
    if isinstance(error, ContractError):
        return problem(
            status, "invalid_request", [{"field": mask(error.field)[:LONGEST_FIELD], "message": error.reason}]
        )
    if isinstance(error, Overloaded):
        return problem(status, "overloaded", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, RepeatedOtherwise):
        return problem(status, "conflict", [{"field": error.field, "message": mask(str(error))}])
    if isinstance(error, DecisionPending):
        return problem(status, "pending", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, PredictionTimeout):
        return problem(status, "prediction_timeout", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, JournalFull):
        # Said once where it began, and by the readiness; a line for each would fill the disk again.
        return problem(status, "cannot_be_recorded", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, UnknownModel):
        return problem(status, "unknown_model", [{"field": "model", "message": str(error)}])
    if isinstance(error, ModelUnavailable):
        message = [{"field": "model", "message": str(error)}]
        return problem(status, "model_unavailable", message, retry_after_s=RETRY_AFTER_S)
    log.error("a request failed: %s", error)
    return problem(status, type(error).__name__)
