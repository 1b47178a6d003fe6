"""Predictions of any registered model, for one user and item or for many."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Query, Request, Response

from lamina.contracts.predictions import ManyQuestions, OneQuestion, Prediction
from serving.checks import Checks
from serving.routes.json_route import JsonRoute
from serving.stages.predict import Call, Predictor

JSON = "application/json"
QUESTION = {"user_id": "user-00000153", "item_id": "item-0000018", "model": "purchase"}
FRAUD_QUESTION = {
    "user_id": "user-00000153",
    "item_id": "merchant-0000018",
    "model": "fraud",
    "context": {
        "amount": 28.76,
        "merchant_category": "restaurant",
        "country": "PT",
        "user_country": "PT",
        "transaction_type": "in_store",
        "device_type": "terminal",
    },
}
MANY = {"model": "purchase", "rows": [{"user_id": "user-00000153", "item_id": f"item-000001{i}"} for i in range(3)]}

One = Annotated[
    OneQuestion,
    Body(openapi_examples={"a shop": {"value": QUESTION}, "with the request's own columns": {"value": FRAUD_QUESTION}}),
]
Many = Annotated[ManyQuestions, Body(openapi_examples={"three items": {"value": MANY}})]
Explain = Annotated[bool, Query(description="Return the features as used.")]


def predict_router(predictor: Predictor, checks: Checks) -> APIRouter:
    """The routes under `/predict`. Handlers answer with bytes: what was validated once is not validated again."""
    router = APIRouter(prefix="/predict", tags=["predict"], route_class=JsonRoute)

    @router.post("", response_model=Prediction, summary="Predict for a user and an item")
    async def predict(request: Request, question: One, explain: Explain = False) -> Response:
        """The champion's score on the features of now. 404 names the models there are; 503: none is in service."""
        checks.take([question])
        call = Call([question], question.model, request.state.request_id, request.state.started_ns, explain)
        return Response(orjson.dumps(_shown(await predictor.predict(call), explain)), media_type=JSON)

    @router.post("/batch", response_model=list[Prediction], summary="Predict for many users and items")
    async def predict_batch(request: Request, questions: Many, explain: Explain = False) -> Response:
        """Predictions in the order of the rows, all by one version. A row that fails has an `error` and no score.

        The request id of each is that of the call with its place appended.
        """
        checks.take(questions.rows)
        call = Call(questions.rows, questions.model, request.state.request_id, request.state.started_ns, explain)
        made = await predictor.predict_all(call)
        return Response(orjson.dumps([_shown(each, explain) for each in made]), media_type=JSON)

    return router


def _shown(prediction: Prediction, explain: bool) -> dict[str, object]:
    return prediction.model_dump(exclude=None if explain else {"features"})
