"""Airflow from outside, by its REST API (v2): run a day, wait for its end, say what failed and how its log ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from lamina import proxies
from lamina.clock import Clock, require_over, system_clock
from lamina.monitoring.hours import times_of
from lamina.orchestration.airflow_runs import (
    AirflowBusy,
    AirflowError,
    AirflowSlow,
    AirflowUnavailable,
    DagMissing,
    DagRun,
    DagRunFailed,
    DagRunTimedOut,
    TaskState,
)

POLL_S, LATE_S = 1.0, 4.0
REQUEST_TIMEOUT_S = 30.0
LOG_LINES = 25
FINISHED = frozenset({"success", "failed"})
ATTEMPTS = 5
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class AirflowClient:
    """Talks to the API server at `url`. Without `username` it asks for the token that a server without logins gives.
    `clock` says which days are over. What Airflow failed on is sent `attempts` times, and so is a question that it did
    not answer within `timeout_s`.

    >>> client = AirflowClient("http://127.0.0.1:8080")  # nothing is opened yet
    >>> client.run_url(DagRun(dag_id="features_daily", dag_run_id="manual__1", state="queued"))
    'http://127.0.0.1:8080/dags/features_daily/runs/manual__1'
    """

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        clock: Clock = system_clock,
        timeout_s: float = REQUEST_TIMEOUT_S,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.url = url.rstrip("/")
        self._login = {"username": username, "password": password} if username else None
        self._monotonic, self._sleep, self._clock = monotonic, sleep, clock
        self._token: str | None = None
        self._attempts = attempts
        self._http = httpx.Client(
            base_url=self.url,
            timeout=timeout_s,
            transport=transport,
            trust_env=not proxies.is_here(self.url),  # for a proxy of SOCKS it needs a package even where it spares it
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run_url(self, run: DagRun) -> str:
        """Where the UI shows `run`."""
        return f"{self.url}/dags/{run.dag_id}/runs/{quote(run.dag_run_id)}"

    def wait_for_dag(self, dag_id: str, timeout_s: float = 120.0) -> None:
        """Return once the DAG processor has read `dag_id`.

        Raises: DagMissing: when it has not after `timeout_s`; says which DAG files cannot be imported.
        """
        deadline = self._monotonic() + timeout_s
        while self._send("GET", f"/dags/{dag_id}", allow=HTTPStatus.NOT_FOUND).status_code == HTTPStatus.NOT_FOUND:
            errors = self._json("GET", "/importErrors")["import_errors"]
            if errors or self._monotonic() > deadline:
                causes = "\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in errors)
                raise DagMissing(
                    f"Airflow at {self.url} does not know {dag_id}"
                    + (f", as these files cannot be imported:\n{causes}" if causes else f" after {timeout_s:.0f} s")
                    + "\nRun `airflow dags list-import-errors` and see the log of the DAG processor."
                )
            self._sleep(POLL_S)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run `dag_id`."""
        self._json("PATCH", f"/dags/{dag_id}", params={"update_mask": "is_paused"}, json={"is_paused": False})

    def newest_runs(self, most: int) -> list[DagRun]:
        """The newest runs of all DAGs, the newest first."""
        found = self._json("GET", "/dags/~/dagRuns", params={"order_by": "-run_after", "limit": most})["dag_runs"]
        return [DagRun.model_validate(run) for run in found]

    def find(self, dag_id: str, day: date) -> DagRun | None:
        """The run of `dag_id` for `day`, or None."""
        return self._find(dag_id, _start_of(day), DAY)

    def named(self, dag_id: str, run_id: str) -> DagRun | None:
        """The run of `dag_id` of that name, or None."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}"
        answer = self._send("GET", path, allow=HTTPStatus.NOT_FOUND)
        return None if answer.status_code == HTTPStatus.NOT_FOUND else DagRun.model_validate(answer.json())

    def trigger(self, dag_id: str, day: date, conf: Mapping[str, Any] | None = None, *, rerun: bool = False) -> DagRun:
        """Start `dag_id` for the logical date `day`; `conf` overrides the DAG's parameters.

        A day has one run: with `rerun` an earlier one is deleted (its data is replaced as the new one writes), without
        it an earlier one is an error.

        Raises: DayNotOver: when `day` is not over. AirflowError: when it has a run already, a parameter is refused, or
        Airflow would not begin: it starts no task whose logical date lies in the future.
        """
        require_over(day, self._clock)
        return self._trigger(dag_id, _start_of(day), DAY, conf, rerun=rerun)

    def trigger_hour(
        self, dag_id: str, hour: datetime, conf: Mapping[str, Any] | None = None, *, rerun: bool = False
    ) -> DagRun:
        """As `trigger`, for a DAG that looks at every hour: `hour` is the start of the one, UTC.

        Raises: HourNotOver: when it is not over. AirflowError: as `trigger`.
        """
        start = hour.replace(minute=0, second=0, microsecond=0)
        times_of(start, None, self._clock)
        return self._trigger(dag_id, start, HOUR, conf, rerun=rerun)

    def _trigger(
        self, dag_id: str, start: datetime, span: timedelta, conf: Mapping[str, Any] | None, *, rerun: bool
    ) -> DagRun:
        said = start.date().isoformat() if span == DAY else f"{start:%Y-%m-%dT%H}"
        if round(start.timestamp() * 1000) > system_clock():
            raise AirflowError(
                f"{dag_id} cannot run for {said}, which lies in the future: Airflow would start none of its tasks and "
                "no run after it. Set the clock of this machine right, or replay days of the past"
            )
        earlier = self._find(dag_id, start, span)
        if earlier and not rerun:
            raise AirflowError(
                f"{dag_id} has a run for {said} already ({earlier.state}): clear it at {self.run_url(earlier)}, "
                "or ask for a rerun"
            )
        if earlier:
            self._send("DELETE", f"/dags/{dag_id}/dagRuns/{quote(earlier.dag_run_id)}")
        body = {
            "logical_date": start.isoformat(),
            "data_interval_start": start.isoformat(),
            "data_interval_end": (start + span).isoformat(),
            "conf": dict(conf or {}),
        }
        return self._start(dag_id, start, span, body)

    def _start(self, dag_id: str, start: datetime, span: timedelta, body: Mapping[str, Any]) -> DagRun:
        try:
            return DagRun.model_validate(self._json("POST", f"/dags/{dag_id}/dagRuns", json=body))
        except AirflowSlow:
            # It may have been done all the same, or be in a moment. Then no second run is asked for.
            for _ in range(self._attempts):
                if found := self._find(dag_id, start, span):
                    return found
                self._sleep(LATE_S)
            raise

    def _find(self, dag_id: str, start: datetime, span: timedelta) -> DagRun | None:
        runs = self._json(
            "GET",
            f"/dags/{dag_id}/dagRuns",
            params={
                "logical_date_gte": start.isoformat(),
                "logical_date_lt": (start + span).isoformat(),
                "order_by": "-run_after",
                "limit": 1,
            },
        )["dag_runs"]
        return DagRun.model_validate(runs[0]) if runs else None

    def tasks(self, run: DagRun) -> list[TaskState]:
        """The tasks of `run`, those that started first in order of their start, then the others."""
        path = f"/dags/{run.dag_id}/dagRuns/{quote(run.dag_run_id)}/taskInstances"
        states = [TaskState.model_validate(item) for item in self._json("GET", path)["task_instances"]]
        never = datetime.max.replace(tzinfo=UTC)
        return sorted(states, key=lambda task: task.start_date or never)

    def wait(
        self,
        run: DagRun,
        timeout_s: float,
        *,
        on_change: Callable[[TaskState], None] | None = None,
        poll_s: float = POLL_S,
    ) -> list[TaskState]:
        """The tasks of `run` once it has succeeded; `on_change` hears of every task whose state changed.

        A server that does not answer for a while is asked again until the time is over: the run goes on without it.

        Raises: DagRunFailed, DagRunTimedOut, AirflowUnavailable.
        """
        deadline = self._monotonic() + timeout_s
        known: dict[str, tuple[str | None, int]] = {}
        while True:
            try:
                run, tasks = self._look(run)
            except AirflowUnavailable:
                if self._monotonic() > deadline:
                    raise
                self._sleep(poll_s)
                continue
            for task in tasks:
                if on_change and known.get(task.task_id, (None, 0))[0] != task.state:
                    on_change(task)
                known[task.task_id] = (task.state, task.try_number)
            if run.state == "success":
                return tasks
            if run.state == "failed":
                raise self._failure(run, tasks)
            if self._monotonic() > deadline:
                raise DagRunTimedOut(run, timeout_s, tasks, self.run_url(run))
            self._sleep(poll_s)

    def run_day(
        self,
        dag_id: str,
        day: date,
        timeout_s: float,
        conf: Mapping[str, Any] | None = None,
        *,
        rerun: bool = False,
        on_change: Callable[[TaskState], None] | None = None,
    ) -> list[TaskState]:
        """Wait until `dag_id` is known, unpause it, run it for `day` and wait for its end; returns its tasks."""
        self.wait_for_dag(dag_id)
        self.unpause(dag_id)
        return self.wait(self.trigger(dag_id, day, conf, rerun=rerun), timeout_s, on_change=on_change)

    def log(self, run: DagRun, task: TaskState) -> list[str]:
        """The lines of the log of `task`'s last try."""
        path = f"/dags/{run.dag_id}/dagRuns/{quote(run.dag_run_id)}/taskInstances/{task.task_id}/logs/{task.try_number}"
        answer = self._send("GET", path, params={"full_content": True}, allow=HTTPStatus.NOT_FOUND)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return []
        lines: list[str] = []
        for entry in answer.json()["content"]:
            event = entry if isinstance(entry, str) else entry.get("event", "")
            lines += [line for line in str(event).splitlines() if line.strip() and not line.startswith("::")]
            for raised in [] if isinstance(entry, str) else entry.get("error_detail") or []:
                lines.append(f"{raised['exc_type']}: {raised['exc_value']}")
        return lines

    def _look(self, run: DagRun) -> tuple[DagRun, list[TaskState]]:
        path = f"/dags/{run.dag_id}/dagRuns/{quote(run.dag_run_id)}"
        return DagRun.model_validate(self._json("GET", path)), self.tasks(run)

    def _failure(self, run: DagRun, tasks: list[TaskState]) -> DagRunFailed:
        failed = next((task for task in tasks if task.state == "failed"), None)
        return DagRunFailed(run, failed, self.log(run, failed)[-LOG_LINES:] if failed else [], self.run_url(run))

    def _json(self, method: str, path: str, **arguments: Any) -> Any:
        return self._send(method, path, **arguments).json()

    def _send(self, method: str, path: str, *, allow: HTTPStatus | None = None, **arguments: Any) -> httpx.Response:
        # On SQLite, a write beside another is refused now and then, and rolled back. What was not answered in time may
        # have been done all the same: only what changes nothing is asked again.
        again = (AirflowBusy, AirflowSlow) if method == "GET" else (AirflowBusy,)
        patient = Retrying(
            retry=retry_if_exception_type(again),
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential(max=8),
            sleep=self._sleep,
            reraise=True,
        )
        return patient(self._send_once, method, path, allow, arguments)

    def _send_once(self, method: str, path: str, allow: HTTPStatus | None, arguments: dict[str, Any]) -> httpx.Response:
        for attempt in (1, 2):
            headers = {"Authorization": f"Bearer {self._token or self._authenticate()}", "Accept": "application/json"}
            answer = self._request(method, f"/api/v2{path}", headers=headers, **arguments)
            if answer.status_code != HTTPStatus.UNAUTHORIZED or attempt == 2:
                break
            self._token = None
        if answer.is_error and answer.status_code != allow:
            kind = AirflowBusy if answer.is_server_error else AirflowError
            raise kind(f"{method} {answer.request.url}: Airflow answered {answer.status_code}: {answer.text}")
        return answer

    def _authenticate(self) -> str:
        if self._login:
            answer = self._request("POST", "/auth/token", json=self._login)
        else:
            answer = self._request("GET", "/auth/token")
        if answer.is_error:
            raise AirflowError(
                f"Airflow at {self.url} gave no token ({answer.status_code}: {answer.text}): give a user name and a "
                "password, or set simple_auth_manager_all_admins in airflow.cfg"
            )
        self._token = str(answer.json()["access_token"])
        return self._token

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            kind = AirflowSlow if isinstance(error, httpx.ReadTimeout) else AirflowUnavailable
            raise kind(
                f"Airflow at {self.url} does not answer ({error}): start it with `make up` and see `make status`"
            ) from error


def _start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
