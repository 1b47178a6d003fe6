import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

import httpx
import pytest

from lamina.clock import DAY_MS, Clock, midnight_ms, system_clock
from lamina.errors import LaminaError
from lamina.orchestration.airflow_client import ATTEMPTS, AirflowClient
from lamina.orchestration.airflow_runs import (
    AirflowError,
    AirflowUnavailable,
    DagMissing,
    DagRun,
    DagRunFailed,
    DagRunTimedOut,
    TaskState,
)

URL = "http://airflow.test"
DAY = date(2018, 8, 21)
RUN = {
    "dag_id": "features_daily",
    "dag_run_id": "manual__1",
    "state": "running",
    "logical_date": "2018-08-21T00:00:00Z",
}
Answer = tuple[int, Any]


def _client(
    answer: Callable[[str, str, Any], Answer], clock: Clock = system_clock, attempts: int = ATTEMPTS
) -> AirflowClient:
    """A client whose requests are answered by `answer(method, path, body)`; time passes by a second a look."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "token"})
        assert request.headers["Authorization"] == "Bearer token"
        body = json.loads(request.content) if request.content else None
        status, found = answer(request.method, request.url.path.removeprefix("/api/v2"), body)
        return httpx.Response(status, json=found)

    seconds: Iterator[int] = count()
    return AirflowClient(
        URL,
        transport=httpx.MockTransport(handle),
        monotonic=lambda: next(seconds),
        sleep=lambda _: None,
        clock=clock,
        attempts=attempts,
    )


def _task(name: str, state: str | None, tries: int = 1) -> dict[str, Any]:
    return {"task_id": name, "state": state, "try_number": tries, "start_date": None, "duration": 1.5}


def test_a_day_is_triggered_with_its_own_interval() -> None:
    sent: list[Any] = []

    def answer(method: str, path: str, body: Any) -> Answer:
        if method == "GET":
            return 200, {"dag_runs": []}
        sent.append((method, path, body))
        return 200, RUN

    run = _client(answer).trigger("features_daily", DAY, {"train_days": 3})
    assert run.day == "2018-08-21"
    assert sent == [
        (
            "POST",
            "/dags/features_daily/dagRuns",
            {
                "logical_date": "2018-08-21T00:00:00+00:00",
                "data_interval_start": "2018-08-21T00:00:00+00:00",
                "data_interval_end": "2018-08-22T00:00:00+00:00",
                "conf": {"train_days": 3},
            },
        )
    ]


def test_an_hour_is_triggered_with_its_own_interval_once_it_is_over() -> None:
    sent: list[Any] = []
    eleven = midnight_ms(DAY) + 23 * 3_600_000

    def answer(method: str, path: str, body: Any) -> Answer:
        if method == "GET":
            return 200, {"dag_runs": []}
        sent.append((method, path, body))
        return 200, RUN

    hour = datetime(2018, 8, 21, 22, tzinfo=UTC)
    _client(answer, lambda: eleven).trigger_hour("monitoring", hour)
    interval = {"data_interval_start": hour.isoformat(), "data_interval_end": "2018-08-21T23:00:00+00:00"}
    assert sent == [("POST", "/dags/monitoring/dagRuns", {"logical_date": hour.isoformat(), **interval, "conf": {}})]
    with pytest.raises(LaminaError, match=r"2018-08-21T22 .* is not over"):
        _client(answer, lambda: eleven - 1).trigger_hour("monitoring", hour)


def test_an_hour_that_has_a_run_is_run_again_and_no_other_of_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx.QueryParams] = []

    def answer(method: str, path: str, body: Any) -> Answer:
        return (200, {"dag_runs": [RUN]}) if method == "GET" else (204, None) if method == "DELETE" else (200, RUN)

    client = _client(answer)
    send = client._request

    def noted(method: str, path: str, **arguments: Any) -> httpx.Response:
        asked.append(httpx.QueryParams(arguments.get("params")))
        return send(method, path, **arguments)

    monkeypatch.setattr(client, "_request", noted)
    hour = datetime(2018, 8, 21, 22, tzinfo=UTC)
    with pytest.raises(AirflowError, match="has a run for 2018-08-21T22 already"):
        client.trigger_hour("monitoring", hour)
    found = next(params for params in asked if "logical_date_gte" in params)
    assert found["logical_date_gte"] == hour.isoformat()
    assert found["logical_date_lt"] == "2018-08-21T23:00:00+00:00"
    assert client.trigger_hour("monitoring", hour, rerun=True).dag_run_id == "manual__1"


def test_a_run_is_found_by_its_name_or_is_not_there() -> None:
    there = {"/dags/training/dagRuns/drift__2018-08-21T22": RUN}

    def answer(method: str, path: str, body: Any) -> Answer:
        return (200, there[path]) if path in there else (404, {"detail": "no"})

    client = _client(answer)
    found = client.named("training", "drift__2018-08-21T22")
    assert found is not None and found.dag_run_id == "manual__1"
    assert client.named("training", "drift__2018-08-21T21") is None


@pytest.mark.parametrize(
    ("clock", "day", "said"),
    [
        (lambda: midnight_ms(DAY) + DAY_MS - 1, DAY, "2018-08-21 is not over: it is 2018-08-21 23:59 UTC"),
        (lambda: midnight_ms(DAY), date(2099, 1, 1), "2099-01-01 is not over"),
        (lambda: midnight_ms(date(2100, 1, 1)), date(2099, 1, 1), "would start none of its tasks"),
    ],
)
def test_a_day_that_is_not_over_is_not_triggered(clock: Clock, day: date, said: str) -> None:
    def answer(*_: object) -> Answer:
        raise AssertionError("nothing is to be sent")

    with pytest.raises(LaminaError, match=said):
        _client(answer, clock).trigger("features_daily", day, rerun=True)


def test_a_day_that_has_a_run_is_refused_or_run_again() -> None:
    methods: list[str] = []

    def answer(method: str, path: str, body: Any) -> Answer:
        methods.append(method)
        return (200, {"dag_runs": [RUN]}) if method == "GET" else (204, None) if method == "DELETE" else (200, RUN)

    client = _client(answer)
    with pytest.raises(AirflowError, match=r"has a run for 2018-08-21 already \(running\).*ask for a rerun"):
        client.trigger("features_daily", DAY)
    assert methods == ["GET"]
    client.trigger("features_daily", DAY, rerun=True)
    assert methods == ["GET", "GET", "DELETE", "POST"]


def test_waiting_ends_with_success_and_tells_of_every_change() -> None:
    states = iter([("running", "queued"), ("running", "running"), ("running", "running"), ("success", "success")])
    now = ["", ""]

    def answer(method: str, path: str, body: Any) -> Answer:
        if path.endswith("/taskInstances"):
            return 200, {"task_instances": [_task("archive", now[1])]}
        now[:] = next(states)
        return 200, {**RUN, "state": now[0]}

    heard: list[str | None] = []
    tasks = _client(answer).wait(DagRun.model_validate(RUN), 100, on_change=lambda task: heard.append(task.state))
    assert heard == ["queued", "running", "success"]
    assert [task.duration for task in tasks] == [1.5]


def test_a_failure_names_the_task_and_shows_the_end_of_its_last_log() -> None:
    def answer(method: str, path: str, body: Any) -> Answer:
        if path.endswith("/taskInstances"):
            return 200, {"task_instances": [_task("quality", "failed", 3), _task("publish", "upstream_failed", 0)]}
        if "/logs/" in path:
            assert path.endswith("/taskInstances/quality/logs/3")
            lines = [{"event": "::group::Log message source details"}, *({"event": f"line {i}"} for i in range(40))]
            raised = {
                "event": "Task failed",
                "error_detail": [{"exc_type": "AirflowException", "exc_value": "rule broken"}],
            }
            return 200, {"content": [*lines, raised], "continuation_token": None}
        return 200, {**RUN, "state": "failed"}

    with pytest.raises(DagRunFailed) as caught:
        _client(answer).wait(DagRun.model_validate(RUN), 100)
    assert caught.value.task_id == "quality"
    assert caught.value.log_tail[-2:] == ["Task failed", "AirflowException: rule broken"]
    assert "line 0\n" not in str(caught.value)
    assert "task quality (try 3)" in str(caught.value)
    assert f"{URL}/dags/features_daily/runs/manual__1" in str(caught.value)


def test_a_run_that_takes_too_long_says_where_it_is() -> None:
    def answer(method: str, path: str, body: Any) -> Answer:
        if path.endswith("/taskInstances"):
            return 200, {"task_instances": [_task("archive", "success"), _task("quality", None)]}
        return 200, RUN

    with pytest.raises(DagRunTimedOut, match=r"after 5 s \(archive success, quality waiting\)"):
        _client(answer).wait(DagRun.model_validate(RUN), 5)


def test_a_server_that_is_away_for_a_while_is_asked_again() -> None:
    looks = iter([httpx.ReadTimeout("timed out"), None])

    def answer(method: str, path: str, body: Any) -> Answer:
        if path.endswith("/taskInstances"):
            return 200, {"task_instances": [_task("archive", "success")]}
        error = next(looks)
        if error:
            raise error
        return 200, {**RUN, "state": "success"}

    assert [task.task_id for task in _client(answer).wait(DagRun.model_validate(RUN), 100)] == ["archive"]


def test_a_server_that_stays_away_ends_the_waiting() -> None:
    def answer(method: str, path: str, body: Any) -> Answer:
        raise httpx.ReadTimeout("timed out")

    with pytest.raises(AirflowUnavailable, match="timed out"):
        _client(answer).wait(DagRun.model_validate(RUN), 5)


def test_a_question_that_is_not_answered_in_time_is_asked_again() -> None:
    looks = iter([httpx.ReadTimeout("timed out"), httpx.ReadTimeout("timed out"), None])

    def answer(method: str, path: str, body: Any) -> Answer:
        error = next(looks)
        if error:
            raise error
        return 200, {"task_instances": [_task("archive", "success")]}

    assert [task.task_id for task in _client(answer).tasks(DagRun.model_validate(RUN))] == ["archive"]


@pytest.mark.parametrize(("attempts", "error"), [(1, httpx.ReadTimeout), (5, httpx.ConnectError)])
def test_who_does_not_want_to_wait_and_a_server_that_is_not_there_are_told_at_once(
    attempts: int, error: type[httpx.TransportError]
) -> None:
    asked: list[str] = []

    def answer(method: str, path: str, body: Any) -> Answer:
        asked.append(path)
        raise error("no answer")

    with pytest.raises(AirflowUnavailable, match="no answer"):
        _client(answer, attempts=attempts).newest_runs(5)
    assert len(asked) == 1


def test_what_changes_something_is_not_sent_again_when_it_may_have_been_done() -> None:
    sent: list[str] = []

    def answer(method: str, path: str, body: Any) -> Answer:
        sent.append(method)
        if method == "GET":
            return 200, {"dag_runs": []}
        raise httpx.ReadTimeout("timed out")

    with pytest.raises(AirflowUnavailable, match="timed out"):
        _client(answer, attempts=2).trigger("features_daily", DAY)
    assert sent == ["GET", "POST", "GET", "GET"], "it is looked for, and not there"


@pytest.mark.parametrize("late", [0, 2])
def test_a_run_whose_beginning_was_answered_too_late_is_found(late: int) -> None:
    """At once, or when the server comes to do it."""
    runs: list[dict[str, Any]] = []
    looks: list[bool] = []

    def answer(method: str, path: str, body: Any) -> Answer:
        if method == "GET":
            looks.append(bool(runs))
            return 200, {"dag_runs": runs if sum(looks) > late else []}
        runs.append(RUN)
        raise httpx.ReadTimeout("timed out")

    assert _client(answer).trigger("features_daily", DAY) == DagRun.model_validate(RUN)
    assert len(runs) == 1


def test_a_dag_that_cannot_be_imported_is_reported_with_the_cause() -> None:
    errors: list[dict[str, str]] = []

    def answer(method: str, path: str, body: Any) -> Answer:
        return (200, {"import_errors": errors}) if path == "/importErrors" else (404, {"detail": "not found"})

    client = _client(answer)
    with pytest.raises(DagMissing, match="does not know features_daily after 3 s"):
        client.wait_for_dag("features_daily", timeout_s=3)
    errors.append({"filename": "features_daily.py", "stack_trace": "ModuleNotFoundError: no module named x"})
    with pytest.raises(DagMissing, match=r"features_daily.py:\nModuleNotFoundError: no module named x"):
        client.wait_for_dag("features_daily", timeout_s=3)


def test_a_refusal_holds_airflows_own_words() -> None:
    client = _client(lambda *_: (400, {"detail": "train_days: 0 is less than the minimum of 1"}))
    with pytest.raises(AirflowError, match=r"400.*0 is less than the minimum of 1"):
        client.unpause("features_daily")


def test_a_missing_log_is_no_error() -> None:
    client = _client(lambda *_: (404, {"detail": "no log"}))
    assert client.log(DagRun.model_validate(RUN), TaskState(task_id="quality", state="failed", try_number=1)) == []


def test_a_server_that_is_down_says_how_to_start_it() -> None:
    with AirflowClient("http://127.0.0.1:9") as client, pytest.raises(AirflowUnavailable, match="make up"):
        client.unpause("features_daily")


def test_a_server_that_failed_is_asked_again() -> None:
    answers = iter([(500, {"detail": "database is locked"}), (503, {}), (200, {"dag_runs": []}), (200, RUN)])
    assert _client(lambda *_: next(answers)).trigger("features_daily", DAY).dag_run_id == "manual__1"


def test_a_server_that_fails_for_good_is_named_with_its_answer() -> None:
    asked: list[str] = []

    def answer(method: str, path: str, _: Any) -> Answer:
        asked.append(method)
        return 500, {"detail": "database is locked"}

    with pytest.raises(AirflowUnavailable, match="database is locked"):
        _client(answer).trigger("features_daily", DAY)
    assert len(asked) == 5
