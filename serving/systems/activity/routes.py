"""Activity: what people look at in a shop, and whether a purchase follows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from lamina.contracts.activity_answers import PageView, PurchasePrediction, fields_of
from lamina.contracts.base import json_of
from lamina.contracts.problems import Accepted
from lamina.contracts.served import Served
from lamina.contracts.user_events import USER_EVENTS, UserEvent
from serving.checks import Checks
from serving.routes.json_route import JsonRoute
from serving.routes.taken import accepted
from serving.stages.case import Case
from serving.stages.log import EventLog
from serving.stages.pipeline import Pipeline

JSON = "application/json"
VIEWS = "/activity/views"
VIEW = {
    "event_id": "event-0001",
    "user_id": "user-00000153",
    "event_type": "page_view",
    "item_id": "item-0000018",
    "session_id": "session-0001",
    "page": "item",
    "timestamp": 1735689649076,
}
BOUGHT = VIEW | {
    "event_id": "event-0002",
    "event_type": "purchase",
    "page": "cart",
    "purchase_id": "purchase-0001",
    "purchase_amount": 28.76,
    "timestamp": "2025-01-01T00:31:00Z",
}

OneView = Annotated[PageView, Body(openapi_examples={"at an item": {"value": VIEW}})]
OneEvent = Annotated[UserEvent, Body(openapi_examples={"a purchase, ISO time": {"value": BOUGHT}})]
Explain = Annotated[bool, Query(description="Return the features as used.")]


def activity_router(views: Pipeline[PageView, None], events: EventLog, checks: Checks) -> APIRouter:
    """The routes under `/activity`. Handlers answer with bytes: what was validated once is not validated again."""
    router = APIRouter(prefix="/activity", tags=["activity"], route_class=JsonRoute)

    @router.post("/views", response_model=PurchasePrediction, summary="Say whether a view leads to a purchase")
    async def view(request: Request, view: OneView, explain: Explain = False) -> Response:
        """The probability that the user buys the item within a day. The view and the answer are published.

        The same view sent again gets the answer it had; another content under its id is answered 409. `fallback` says
        what an answer without a probability was made without: `no_features`, `no_model`, or time (`deadline`).
        """
        checks.take([view])
        case: Case[PageView, None] = Case(view, request.state.request_id, request.state.started_ns, explain)
        return Response(shown(await views.answer(case), explain=explain), media_type=JSON)

    @router.post("/events", status_code=202, response_model=Accepted, summary="Report what a user did")
    async def event(event: OneEvent) -> Response:
        """The event is published; the features and the next training see it. A view may be reported here as well."""
        checks.take([event])
        events.publish(USER_EVENTS, event.user_id, event.to_json())
        return accepted(USER_EVENTS, event.event_id)

    return router


def shown(served: Served, *, explain: bool = False) -> bytes:
    """The body of the answer to a view."""
    return json_of(fields_of(served, explain=explain))
