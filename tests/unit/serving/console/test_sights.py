"""What pages show of the lake, the registry and Airflow."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from lamina.clock import day_of
from lamina.lake import joined, layout
from lamina.lake.schemas import SCHEMAS
from lamina.orchestration.airflow_client import AirflowClient
from lamina.registry.memory import MemoryRegistry
from lamina.reviews import reading
from serving.console import sights
from tests.console_site import START_MS, Site
from tests.unit.serving.recognisable import add_version
from tests.unit.serving.transactions import transaction


def archived(lake: Path, day: date, *events: dict[str, Any]) -> None:
    folder = Path(layout.events(str(lake), "transactions", day))
    folder.mkdir(parents=True, exist_ok=True)
    rows = [transaction(**event).model_dump() for event in events]
    pq.write_table(
        pa.Table.from_pylist(rows, schema=SCHEMAS["transactions"]), folder / f"{len(list(folder.iterdir()))}.parquet"
    )


def test_events_of_the_user_before_the_case(tmp_path: Path) -> None:
    site = Site(tmp_path, cases=1)
    case = reading.case(site.queue.database, 1)
    lake, today = tmp_path / "lake", day_of(START_MS)
    assert sights.recent_events(str(lake), "fraud", case)[1] == []
    at_ms = case.answered_at
    archived(
        lake,
        today,
        {"user_id": "u-1", "transaction_id": "before", "timestamp": at_ms - 1000, "amount": 5.0},
        {"user_id": "u-1", "transaction_id": "at", "timestamp": at_ms, "amount": 6.0},
        {"user_id": "u-1", "transaction_id": "after", "timestamp": at_ms + 1, "amount": 7.0},
        {"user_id": "u-2", "transaction_id": "other", "timestamp": at_ms - 1000, "amount": 8.0},
    )
    archived(lake, today, {"user_id": "u-1", "transaction_id": "before", "timestamp": at_ms - 1000, "amount": 5.0})
    columns, events = sights.recent_events(str(lake), "fraud", case)
    assert [event["transaction_id"] for event in events] == ["at", "before"], "the newest first, each once"
    assert "amount" in columns and "card_token" not in columns
    site.close()


def test_what_became_known_of_similar_cases(tmp_path: Path) -> None:
    site = Site(tmp_path, cases=3)
    cases = [reading.case(site.queue.database, n) for n in (1, 2, 3)]
    lake = str(tmp_path / "lake")
    assert sights.truths(lake, []) == {} and sights.truths(lake, cases) == {}
    folder = Path(layout.joined(lake, "fraud", day_of(cases[0].answered_at)))
    folder.mkdir(parents=True)
    filled: dict[str, Any] = {
        field.name: {pa.string(): "x", pa.int64(): 1, pa.float64(): 0.0, pa.bool_(): False}[field.type]
        for field in joined.SCHEMA
        if not field.nullable
    }
    said = {"label_status": joined.SAID, "label": 1.0, "label_source": "chargeback"}
    first, second, _ = ({"request_id": case.request_id, "event_id": case.event_id} for case in cases)
    rows = [filled | first | said, filled | second | {"label_status": joined.ASSUMED}]
    # One request asked about two events: the second of them is no case.
    rows.append(filled | first | said | {"event_id": "another", "label": 0.0})
    pq.write_table(pa.Table.from_pylist(rows, schema=joined.SCHEMA), folder / "0.parquet")
    assert sights.truths(lake, cases) == {cases[0].case_id: "1 (chargeback)"}
    site.close()


def test_models_with_their_cards(tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path / "registry")
    (empty,) = sights.models(registry, ["fraud"])
    assert (empty.versions, empty.cards) == ([], {})
    add_version(registry, 0.1, tmp_path, "champion")
    (found,) = sights.models(registry, ["fraud"])
    assert [version.version for version in found.versions] == ["1"]
    assert found.cards == {"champion": "This version has no card."}


def test_the_newest_runs_of_all_dags() -> None:
    asked: list[httpx.Request] = []

    def airflow(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        run = {"dag_id": "archive_daily", "dag_run_id": "manual__1", "state": "success", "logical_date": None}
        return httpx.Response(200, json={"dag_runs": [run]})

    with AirflowClient("http://airflow", transport=httpx.MockTransport(airflow)) as client:
        (run,) = client.newest_runs(30)
    assert run.dag_id == "archive_daily"
    assert asked[-1].url.path == "/api/v2/dags/~/dagRuns" and asked[-1].url.params["limit"] == "30"
