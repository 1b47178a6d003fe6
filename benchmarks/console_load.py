"""What people who look at the console cost decisions: 50 of them, a page each every 5 s, beside 200 payments a second.

In one run, on real Kafka, Redis and MLflow: the load alone, then with the console, then the other way round, and so on,
so that what else the machine does meets both alike. `p99_ms` and `p99_with_ms` are medians over the rounds of what a
client waits from the moment a request was due; `p99_ratio` is the second by the first. `pages` is how many were shown,
`page_p95_ms` how long people waited, `page_errors` pages other than 200. `cases` were in the queue at the end.

`errors` counts decisions other than 200 and those that were not made by the model, `errors_alone` those of them while
nobody looked; `fallbacks` says by what they were made instead. Where other work keeps the machine's processors, reads
of features take longer than the 50 ms that they may (`rules_only_no_features`), with people and without: such a run
measures the other work.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import httpx
import typer

from benchmarks import decision_latency
from benchmarks.api import Api, serving_api
from benchmarks.report import Figure, emit
from lamina.reviews import reading
from lamina.reviews.database import Database, database_url

PEOPLE, EVERY_S, RATE = 50, 5.0, 200
ROUNDS, SECONDS, WARM_UP_S, REST_S = 4, 15, 5, 1.0
QUICK_ROUNDS, QUICK_SECONDS, QUICK_WARM_UP_S = 2, 4, 3
PAGES = ("/", "/queue", "/parts/overview", "/models", "/measured", "/audit")
BARS = {"p99_ratio": "<= 1.1", "errors": "== 0", "page_errors": "== 0"}


@dataclass
class Looked:
    """What those who looked saw."""

    times_s: list[float] = field(default_factory=list)
    errors: int = 0


@contextmanager
def people(api: Api, looked: Looked) -> Iterator[None]:
    """So many people, each looking at a page every few seconds until the end; they begin one after another."""
    stopped = threading.Event()
    with httpx.Client(base_url=f"{api.url}/console", timeout=30) as one:
        # One session for all: an address signs in a few times a minute.
        assert one.post("/sign-in", data={"name": "people"}).status_code == 303
        cookies = dict(one.cookies)

    def look(number: int) -> None:
        with httpx.Client(base_url=f"{api.url}/console", cookies=cookies, timeout=30) as client:
            stopped.wait(EVERY_S * number / PEOPLE)
            turn = number
            while not stopped.is_set():
                begun_s = time.monotonic()
                found = client.get(PAGES[turn % len(PAGES)])
                looked.times_s.append(time.monotonic() - begun_s)
                looked.errors += found.status_code != 200
                turn += 1
                stopped.wait(max(0.0, EVERY_S - (time.monotonic() - begun_s)))

    threads = [threading.Thread(target=look, args=(number,), daemon=True) for number in range(PEOPLE)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(30)


class Load:
    """Transactions, each asked about once."""

    def __init__(self, api: Api) -> None:
        self._api, self._first = api, 0

    def run(self, seconds: int) -> tuple[float, int]:
        """The P99 of so many seconds, milliseconds, and how many answers were not the model's."""
        variables = {"RATE": RATE, "SECONDS": seconds, "FIRST": self._first, "EXPECTED": '"fallback":"none"'}
        self._first += RATE * seconds
        metrics = self._api.k6(decision_latency.__file__, variables)
        time.sleep(REST_S)
        return metrics.ms("iteration_duration", "p(99)"), metrics.count("checks", "fails")


def fallbacks(api: Api) -> Counter[str]:
    """How many answers were made without the model so far, by reason."""
    return Counter({each.labels["reason"]: int(each.value) for each in api.metric("fallbacks_total")})


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, rounds, seconds, warm_up_s = (
        (40, QUICK_ROUNDS, QUICK_SECONDS, QUICK_WARM_UP_S) if quick else (400, ROUNDS, SECONDS, WARM_UP_S)
    )
    looked, alone, beside = Looked(), list[tuple[float, int]](), list[tuple[float, int]]()
    with serving_api(users) as api:
        load = Load(api)
        with people(api, Looked()):
            load.run(warm_up_s)
        before = fallbacks(api)
        for number in range(rounds):
            for with_people in (number % 2 == 1, number % 2 == 0):
                if with_people:
                    with people(api, looked):
                        beside.append(load.run(seconds))
                else:
                    alone.append(load.run(seconds))
        counted = reading.counts(Database(database_url(None, Path(api.stack.env["LAMINA_STACK_DIR"]))))
        reasons = fallbacks(api) - before
    p99_ms, p99_with_ms = median(p99 for p99, _ in alone), median(p99 for p99, _ in beside)
    errors_alone = sum(errors for _, errors in alone)
    figures: dict[str, Figure] = {
        "p99_ms": round(p99_ms, 2),
        "p99_with_ms": round(p99_with_ms, 2),
        "p99_ratio": round(p99_with_ms / p99_ms, 3),
        "errors": errors_alone + sum(errors for _, errors in beside),
        "errors_alone": errors_alone,
        "fallbacks": ", ".join(f"{reason} {n:,}" for reason, n in reasons.most_common()) or "none",
        "pages": len(looked.times_s),
        "page_p95_ms": round(1000 * quantiles(looked.times_s, n=20)[-1], 1),
        "page_errors": looked.errors,
        "cases": sum(sum(states.values()) for states in counted.values()),
        "rounds_ms": f"alone {[p99 for p99, _ in alone]}, with people {[p99 for p99, _ in beside]}",
    }
    if not emit("console_load", figures, BARS, json_file):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
