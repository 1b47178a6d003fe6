"""Views are answered by the model's probability; everything else that users do is taken in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest

from lamina.contracts.activity_answers import PURCHASE, PageView, PurchasePrediction
from lamina.contracts.base import json_of
from lamina.contracts.served import FeatureValue, Served
from lamina.contracts.user_events import USER_EVENTS, UserEvent
from lamina.registry.protocol import CHAMPION
from lamina.scoring.protocol import SCORE, Outputs
from serving.answering import Answering
from serving.bootstrap import Service, make_app
from serving.systems.activity.routes import BOUGHT, VIEW, VIEWS
from tests.unit.serving.in_process import InProcess
from tests.unit.serving.recognisable import AT_MS, Constant, KeptEvents, add_version
from tests.unit.serving.shop import Shop, views
from tests.values import CASES, VISIT, Case

ALWAYS = {"explain": "false"}
"""Any query: the framework's own way."""
REPORTED = "/activity/events"


class Likely(Constant):
    """Gives every view the same chance."""

    system = "activity"
    outputs = (PURCHASE,)

    def predict_batch(self, rows: Sequence[Mapping[str, FeatureValue]]) -> Outputs:
        return {PURCHASE: super().predict_batch(rows)[SCORE]}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    shop = Shop(tmp_path)
    made = shop.service(served_systems={"fraud", "activity"})
    events = KeptEvents(tmp_path)
    system = activity_of(made)
    add_version(shop.registry, 0.25, tmp_path, CHAMPION, name="activity")
    system.models.champion._load = lambda folder: Likely(0.25)
    cast(Any, system.pipeline._maker)._events = events
    cast(Any, made.events).publish_all = events.publish_all
    cast(Any, made.events).kept = events.kept
    asyncio.run(system.models.champion.refresh())
    return made


def activity_of(service: Service) -> Answering[PageView, None]:
    return cast(Answering[PageView, None], service.systems["activity"])


def kept(service: Service) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = cast(Any, service.events).kept
    return found


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcess(make_app(service)), base_url="http://127.0.0.1") as found:
        yield found


def seen_by(user: str, item: str = "i1") -> dict[str, object]:
    """A page view now, of whom the shop knows four of the minutes before."""
    return {**views(user, item, 1)[0], "event_id": f"now-{user}", "timestamp": AT_MS}


@pytest.mark.parametrize("query", [{}, ALWAYS])
def test_a_view_has_a_probability(client: httpx.Client, query: dict[str, str]) -> None:
    answer = client.post(VIEWS, json=seen_by("u1"), params=query)
    assert answer.status_code == 200, answer.text
    found = PurchasePrediction.model_validate(answer.json())
    assert (found.event_id, found.user_id, found.item_id) == ("now-u1", "u1", "i1")
    assert (found.probability, found.model_version, found.fallback, found.unknown) == (0.25, "1", "none", [])
    assert "features" not in answer.json() and found.timestamp == found.served_at == AT_MS


def test_both_ways_say_the_same(client: httpx.Client) -> None:
    """And the second is told what the first was."""
    first, second = (client.post(VIEWS, json=seen_by("u1"), params=query) for query in ({}, ALWAYS))
    assert first.content == second.content and first.headers["content-type"] == second.headers["content-type"]


def test_explained(client: httpx.Client) -> None:
    found = client.post(VIEWS, json=seen_by("u1"), params={"explain": "true"}).json()
    assert found["features"]["session_page_views"] == 4.0 and found["seen"] and found["through"] == {}


def test_the_view_and_the_envelope_are_published(client: httpx.Client, service: Service) -> None:
    client.post(VIEWS, json=seen_by("u1"))
    (topic, view), (answers, envelope) = kept(service)
    assert (topic, answers) == (USER_EVENTS, "predictions-activity")
    assert UserEvent.from_json(view).to_json() == view, "with nothing of the narrower contract"
    served = Served.from_json(envelope)
    assert served.subjects == {"shopper": "u1", "item": "i1"} and served.outputs == {PURCHASE: 0.25}


def test_another_content_under_the_id_is_refused(client: httpx.Client) -> None:
    client.post(VIEWS, json=seen_by("u1"))
    answer = client.post(VIEWS, json=seen_by("u1", "i2"))
    assert answer.status_code == 409 and answer.json()["details"][0]["field"] == "event_id"


def test_what_was_reported_before_a_restart_is_no_answer(client: httpx.Client, service: Service) -> None:
    """The journal holds both: what was answered is known again, what was reported is not looked for."""
    client.post(REPORTED, json=BOUGHT)
    first = client.post(VIEWS, json=seen_by("u1"))
    client.post(REPORTED, json={**BOUGHT, "event_id": "another"})
    written = list(kept(service))
    activity_of(service).repeats._known.clear()
    for topic, value in written:
        service._recall(topic, value)
    assert client.post(VIEWS, json=seen_by("u1")).content == first.content
    assert kept(service) == written


def test_without_a_model_there_is_no_probability(client: httpx.Client, service: Service) -> None:
    activity_of(service).models.champion.current = None
    found = client.post(VIEWS, json=seen_by("u1")).json()
    assert (found["probability"], found["model_version"], found["fallback"]) == (None, None, "no_model")


@pytest.mark.parametrize("case", CASES["user-events"], ids=str)
def test_events(client: httpx.Client, service: Service, case: Case) -> None:
    answer = client.post(REPORTED, content=case.raw, headers={"content-type": "application/json"})
    assert answer.status_code == (202 if case.door else 422), answer.text
    for topic, value in kept(service):
        assert topic == USER_EVENTS and UserEvent.from_json(value).to_json() == value


@pytest.mark.parametrize("query", [{}, ALWAYS])
@pytest.mark.parametrize("kind", ["click", "cart", "purchase"])
def test_only_a_view_is_answered(client: httpx.Client, kind: str, query: dict[str, str]) -> None:
    body = {**VISIT, "event_type": kind} if kind != "purchase" else BOUGHT
    answer = client.post(VIEWS, json=body, params=query)
    assert answer.status_code == 422 and answer.json()["details"][0]["field"] == "event_type"
    assert client.post(REPORTED, json=body).json() == {"accepted": body["event_id"]}


def test_a_view_is_written_as_any_event() -> None:
    assert json_of(vars(PageView.model_validate(VIEW))) == UserEvent.model_validate(VIEW).to_json()
    assert orjson.loads(PageView.model_validate(VIEW).to_json())["event_type"] == "page_view"
