from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lamina.contracts.predictions import MOST_ROWS
from lamina.errors import StoreUnavailable
from lamina.monitoring import metrics
from lamina.registry.protocol import MODEL_FOLDER
from lamina.scoring.protocol import SCORE, Outputs
from serving.routes.predict import FRAUD_QUESTION
from tests.small_network import expected, write_small_network
from tests.unit.serving.recognisable import AT_MS
from tests.unit.serving.shop import PURCHASE, Shop, add_model

FOUR_VIEWS = {"user_id": "u1", "item_id": "i1", "model": PURCHASE}
CONTEXT: dict[str, Any] = FRAUD_QUESTION["context"]  # type: ignore[assignment]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def details(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(each["field"], each["message"]) for each in answer.json()["details"]]


def test_a_network_scores_the_features_of_now(shop: Shop) -> None:
    async def work() -> None:
        async with shop.open() as client:
            answer = await client.post("/predict", json=FOUR_VIEWS, headers={"X-Request-ID": "r1"})
            found = answer.json()
            assert answer.status_code == 200, answer.text
            assert found["score"] == pytest.approx(expected(4, 4))
            assert (found["model"], found["version"], found["answered_by"]) == (PURCHASE, "1", "model")
            assert (found["request_id"], found["timestamp"], found["unknown"]) == ("r1", AT_MS, [])
            assert "features" not in found
            explained = (await client.post("/predict?explain=true", json=FOUR_VIEWS)).json()
            assert explained["features"]["session_page_views"] == 4.0
            assert (explained["answered_by"], explained["score"]) == ("local", found["score"])
            nobody = (await client.post("/predict", json=FOUR_VIEWS | {"user_id": "x", "item_id": "y"})).json()
            assert nobody["score"] == pytest.approx(expected(0, 0)) and nobody["unknown"] == ["item", "shopper"]
            earlier = await client.post("/predict", json=FOUR_VIEWS | {"timestamp": AT_MS - 165_000})
            assert earlier.json()["score"] == pytest.approx(expected(2, 2))

    run(work())


def test_the_default_model_and_the_requests_own_columns(shop: Shop) -> None:
    async def work() -> None:
        shop.add_trees()
        async with shop.open() as client:
            body = {"user_id": "u", "item_id": "m", "context": CONTEXT}
            small = (await client.post("/predict?explain=true", json=body)).json()
            assert (small["model"], small["features"]["amount"]) == ("fraud", CONTEXT["amount"])
            large = (await client.post("/predict", json=body | {"context": CONTEXT | {"amount": 5_000.0}})).json()
            assert large["score"] > small["score"]
            assert large["answered_by"] == "model"

    run(work())


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"item_id": "i"}, "user_id", "required"),
        ({"user_id": "u", "item_id": ""}, "item_id", "at least 1"),
        ({"user_id": "u", "item_id": "i", "colour": 1}, "colour", "not permitted"),
        ({"user_id": "u", "item_id": "i", "model": "../x"}, "model", "pattern"),
        ({"user_id": "u", "item_id": "i", "context": CONTEXT | {"amount": None}}, "context.amount", "missing"),
        ({"user_id": "u", "item_id": "i", "context": CONTEXT | {"amount": "1"}}, "context.amount", "double"),
        ({"user_id": "u", "item_id": "i", "timestamp": 5}, "timestamp", "milliseconds"),
    ],
)
def test_bad_input_names_the_field(shop: Shop, body: dict[str, object], field: str, says: str) -> None:
    async def work() -> None:
        shop.add_trees()
        async with shop.open() as client:
            answer = await client.post("/predict", json=body)
            assert answer.status_code == 422
            [(found, message)] = details(answer)
            assert found == field and says in message
            batch = await client.post("/predict/batch", json={"rows": [body | {"user_id": "u"}, body]})
            assert batch.status_code == 422

    run(work())


def test_an_unknown_model_says_which_exist(shop: Shop) -> None:
    async def work() -> None:
        async with shop.open() as client:
            answer = await client.post("/predict", json=FOUR_VIEWS | {"model": "weather"})
            assert (answer.status_code, answer.json()["error"]) == (404, "unknown_model")
            assert details(answer) == [("model", "there is no model 'weather'; there are purchase")]

    run(work())


def test_no_model_in_service_is_said(shop: Shop) -> None:
    async def work() -> None:
        add_model(shop.registry, "new", shop.folder / PURCHASE, alias=None)
        async with shop.open() as client:
            for name in ("new", "fraud"):
                answer = await client.post("/predict", json=FOUR_VIEWS | {"model": name})
                assert (answer.status_code, answer.json()["error"]) == (503, "model_unavailable")
                assert answer.headers["Retry-After"] == "1"
                assert f"'{name}' has no version in service" in details(answer)[0][1]

    run(work())


def test_a_batch_keeps_its_order_and_is_of_one_version(shop: Shop) -> None:
    async def work() -> None:
        async with shop.open() as client:
            rows = [{"user_id": u, "item_id": i} for u, i in [("u2", "i2"), ("x", "y"), ("u1", "i1"), ("u1", "i2")]]
            answer = await client.post(
                "/predict/batch", json={"model": PURCHASE, "rows": rows * 30}, headers={"X-Request-ID": "b"}
            )
            found = answer.json()
            assert answer.status_code == 200, answer.text
            scores = [expected(2, 2), expected(0, 0), expected(4, 4), expected(4, 2)] * 30
            assert [each["score"] for each in found] == pytest.approx(scores)
            assert [each["request_id"] for each in found] == [f"b-{i}" for i in range(120)]
            for wrong in ([], [rows[0]] * (MOST_ROWS + 1)):
                assert (await client.post("/predict/batch", json={"rows": wrong})).status_code == 422
            wrong_row = [rows[0], rows[1] | {"context": {"amount": 1}}]
            refused = await client.post("/predict/batch", json={"model": PURCHASE, "rows": wrong_row})
            assert details(refused)[0][0] == "rows.1.context.amount"

    run(work())


def test_a_row_without_a_score_leaves_its_neighbours_alone(shop: Shop) -> None:
    async def work() -> None:
        # Nothing times infinity is no number.
        write_small_network(shop.folder / "steep" / MODEL_FOLDER, weights=(math.inf, 0.0))
        add_model(shop.registry, "steep", shop.folder / "steep")
        async with shop.open() as client:
            rows = [{"user_id": user, "item_id": "i1"} for user in ("u1", "x", "u2")]
            found = (await client.post("/predict/batch", json={"model": "steep", "rows": rows})).json()
            assert [(each["score"], each["error"]) for each in found] == [
                (1.0, None),
                (None, "model_failed"),
                (1.0, None),
            ]
            single = await client.post("/predict", json=rows[1] | {"model": "steep"})
            assert (single.status_code, single.json()["error"]) == (500, "PredictionFailed")

    run(work())


def test_without_features_there_is_no_prediction(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    async def work() -> None:
        monkeypatch.setattr(shop.store, "read", away)
        async with shop.open() as client:
            answer = await client.post("/predict", json=FOUR_VIEWS)
            assert (answer.status_code, answer.json()["error"]) == (503, "StoreUnavailable")

    run(work())


def test_a_new_version_answers_by_itself(shop: Shop) -> None:
    async def work() -> None:
        service = shop.service()
        async with shop.open(service) as client:
            before = (await client.post("/predict", json=FOUR_VIEWS)).json()
            write_small_network(shop.folder / "next" / MODEL_FOLDER, bias=2.0)
            add_model(shop.registry, PURCHASE, shop.folder / "next")
            for served in service.predictions.repository.models:
                await served.refresh()
            after = (await client.post("/predict", json=FOUR_VIEWS)).json()
            assert (before["version"], after["version"], after["answered_by"]) == ("1", "2", "model")
            assert after["score"] == pytest.approx(expected(4, 4, bias=2.0))

    run(work())


def test_too_many_rows_are_told_to_come_again(shop: Shop) -> None:
    async def work() -> None:
        service = shop.service()
        async with shop.open(service) as client:
            service.predictions.batcher.rows = service.settings.predict_queue_rows
            answer = await client.post("/predict", json=FOUR_VIEWS)
            assert (answer.status_code, answer.json()["error"]) == (503, "overloaded")
            assert answer.headers["Retry-After"] == "1"
            service.predictions.batcher.rows = 0
            assert (await client.post("/predict", json=FOUR_VIEWS)).status_code == 200

    run(work())


def test_a_model_that_hangs_is_answered_for_in_time(shop: Shop) -> None:
    """Both routes: a named error within the deadline, counted, and the service goes on."""

    async def work() -> None:
        service = shop.service(predict_deadline_ms=200, predict_timeout_ms=100)
        async with shop.open(service) as client:
            assert (await client.post("/predict", json=FOUR_VIEWS)).status_code == 200
            model = await service.predictions.repository.model(PURCHASE)
            right, held = model.scorer.predict_batch, threading.Event()

            def hangs(rows: Any) -> Outputs:
                held.wait()
                return right(rows)

            model.scorer.predict_batch = hangs  # type: ignore[method-assign]
            before = metrics.PREDICT_TIMEOUTS._value.get()
            other = FOUR_VIEWS | {"item_id": "i9"}
            many = {"model": PURCHASE, "rows": [{"user_id": "u1", "item_id": f"j{i}"} for i in range(3)]}
            try:
                async with asyncio.timeout(20):
                    answers = await asyncio.gather(
                        client.post("/predict", json=other),
                        client.post("/predict", json=other),
                        client.post("/predict/batch", json=many),
                    )
            finally:
                held.set()
            assert [(a.status_code, a.json()["error"]) for a in answers] == [(504, "prediction_timeout")] * 3
            assert all(answer.headers["retry-after"] == "1" for answer in answers)
            assert metrics.PREDICT_TIMEOUTS._value.get() == before + 3
            model.scorer.predict_batch = right  # type: ignore[method-assign]
            again = await client.post("/predict", json=other)
            assert again.status_code == 200, again.text

    run(work())


@pytest.mark.parametrize("given", [[], [0.5] * 5])
def test_scores_of_another_number_hang_nobody(shop: Shop, given: list[float]) -> None:
    async def work() -> None:
        service = shop.service()
        async with shop.open(service) as client:
            model = await service.predictions.repository.model(PURCHASE)
            model.scorer.predict_batch = lambda rows: {SCORE: np.array(given)}  # type: ignore[method-assign]
            async with asyncio.timeout(20):
                answer = await client.post("/predict", json=FOUR_VIEWS)
            assert answer.status_code == 200 and answer.json()["score"] == pytest.approx(expected(4, 4))

    run(work())
