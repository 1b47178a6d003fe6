"""What is said of answers: one event, or many, for any system that is served."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from pydantic import SkipValidation, ValidationError

from lamina.contracts.base import contract_error
from lamina.contracts.feedback import (
    MODEL_FEEDBACK,
    MOST_EVENTS,
    BatchTaken,
    Feedback,
    FeedbackGiven,
    FeedbackTaken,
)
from lamina.contracts.problems import Accepted
from lamina.errors import ContractError
from serving.masking import mask
from serving.middleware.errors import LONGEST_FIELD, problem
from serving.middleware.keys import CLIENT, SOURCES
from serving.routes.json_route import JsonRoute
from serving.routes.taken import accepted, taken
from serving.stages.log import EventLog, Outgoing
from serving.stages.trace import header
from serving.taken_feedback import FeedbackReader, SourceRefused

REJECTED = {
    "system": "fraud",
    "feedback_id": "case-0007",
    "event_id": "txn-0001",
    "action": "reject",
    "source": "analyst",
    "author": "ann",
    "timestamp": 1735689649076,
}
BOUGHT = {
    "system": "activity",
    "user_id": "user-00000153",
    "item_id": "item-0000018",
    "action": "purchase",
    "value": 28.76,
    "source": "shop",
    "timestamp": "2025-01-01T00:31:00Z",
}

One = Annotated[
    FeedbackGiven,
    Body(openapi_examples={"an analyst's verdict": {"value": REJECTED}, "a purchase": {"value": BOUGHT}}),
]
# Each is read by itself, so that one that is wrong does not hold up the others.
Many = Annotated[
    list[SkipValidation[FeedbackGiven]],
    Body(min_length=1, max_length=MOST_EVENTS, openapi_examples={"two": {"value": [REJECTED, BOUGHT]}}),
]


def feedback_router(reader: FeedbackReader, events: EventLog) -> APIRouter:
    """The routes under `/feedback`."""
    router = APIRouter(prefix="/feedback", tags=["feedback"], route_class=JsonRoute)

    def take(request: Request, given: FeedbackGiven) -> Feedback:
        state = request.state
        return reader.take(given, sources=getattr(state, SOURCES, ()), client=getattr(state, CLIENT, None))

    @router.post("", status_code=202, response_model=Accepted, summary="Say what became of an answer")
    async def send(request: Request, feedback: One) -> Response:
        """The event is published; performance, drift and the next training see it. Sent again it counts once.

        Feedback is about the answer that it names by `request_id` or `event_id`, else about the newest one to its
        subjects. Of several sources the best one's word stands, and a later one corrects an earlier one. 403: `source`
        is not this client's word.
        """
        try:
            event = take(request, feedback)
        except SourceRefused as error:
            return problem(403, "forbidden", [{"field": "source", "message": str(error)}])
        events.publish(MODEL_FEEDBACK, event.key, event.to_json())
        return accepted(MODEL_FEEDBACK, event.feedback_id)

    @router.post("/batch", status_code=202, response_model=BatchTaken, summary="Say what became of several answers")
    async def send_batch(request: Request, feedback: Many) -> Response:
        """What can be read is published; what cannot is told by its place in the batch. 422: nothing was taken."""
        told: list[FeedbackTaken] = []
        outgoing: list[Outgoing] = []
        for place, given in enumerate(feedback):
            try:
                event = take(request, _read(given))
            except ContractError as error:
                told.append(FeedbackTaken(place=place, field=mask(error.field)[:LONGEST_FIELD], message=error.reason))
            except SourceRefused as error:
                told.append(FeedbackTaken(place=place, field="source", message=str(error)))
            else:
                outgoing.append(Outgoing(MODEL_FEEDBACK, event.key, event.to_json(), header()))
                told.append(FeedbackTaken(place=place, accepted=event.feedback_id))
        if not outgoing:
            return problem(
                422,
                "invalid_request",
                [{"field": f"{each.place}.{each.field}", "message": each.message or ""} for each in told],
            )
        events.publish_all(outgoing)
        made = BatchTaken(accepted=len(outgoing), refused=len(told) - len(outgoing), events=told)
        return taken(MODEL_FEEDBACK, made.to_json())

    return router


def _read(given: object) -> FeedbackGiven:
    """One of a batch, which nobody has looked into yet.

    Raises: ContractError: names the field.
    """
    try:
        return FeedbackGiven.model_validate(given)
    except ValidationError as error:
        raise contract_error(FeedbackGiven.__name__, error) from None
