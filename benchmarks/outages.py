"""What clients see while something goes wrong: decisions under an open loop, on real Kafka, Redis and MLflow.

In the middle third of each scene the champion moves (`swap`), moves back (`rollback`), Redis, Kafka or MLflow is
stopped, five times as many requests arrive (`burst`), or twenty times as many, more than the machine can answer
(`overload`). `*_failed` counts requests that got neither a decision nor an early 503 with Retry-After; `*_degraded` are
decisions that name what they lacked, `*_refused` those 503s, `*_dropped` requests that k6 could not start in time;
`*_p99_ms` is of all answers from the begin of the disturbance to its end; `*_recovered_s` is how long after the end the
last answer came that was no full decision (0: none did). `--page` writes a page with every scene over time.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.api import POLL_OFTEN, THREE_VERSIONS, Api, Samples, serving_api
from benchmarks.outage_scenes import Scene, Seen
from benchmarks.outages_page import write_page
from benchmarks.report import Figure, emit
from lamina.definitions.fraud import FEATURES
from lamina.registry.deploy import promote, rollback
from lamina.settings import Settings

RATE = 100
BURST, OVERLOAD = 5, 20
QUICK = ("swap", "redis", "overload")
DEADLINE_MS: int = Settings.model_fields["decision_deadline_ms"].default


def main(
    quick: Annotated[bool, typer.Option(help="Three scenes, shorter.")] = False,
    rate: Annotated[int, typer.Option(help="Transactions a second.")] = RATE,
    page: Annotated[Path | None, typer.Option(help="Write the page with the plots there.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, seconds = (20, 4) if quick else (200, 30)
    with serving_api(users, THREE_VERSIONS, POLL_OFTEN) as api:
        scenes = [scene for scene in _scenes(api) if not quick or scene.name in QUICK]
        _load(api, rate, 3 if quick else 6, 1)  # warms what is compiled and connected on first use
        seen = [_play(scene, api, rate, seconds) for scene in scenes]
    figures: dict[str, Figure] = {"rate": rate, "seconds": seconds}
    bars: dict[str, str] = {}
    for found in seen:
        figures |= found.figures()
        bars[f"{found.scene.name}_failed"] = "== 0"
        if not quick:  # the short form is over before it could be missed
            bars[f"{found.scene.name}_recovered_s"] = "<= 5"
        if found.scene.times == 1:
            bars[f"{found.scene.name}_p99_ms"] = f"<= {DEADLINE_MS}"
    bars["overload_refused"] = ">= 1"
    if page is not None:
        write_page(page, seen, figures)
    if not emit("outages", figures, bars, json_file):
        raise typer.Exit(1)


def _scenes(api: Api) -> list[Scene]:
    def gone(name: str, title: str) -> Scene:
        return Scene(name, title, lambda: api.stack.stop_service(name), lambda: api.stack.start(name))

    return [
        Scene(
            "swap",
            "Another version becomes the champion",
            lambda: promote(api.registry, FEATURES.system, api.versions[0]),
        ),
        Scene("rollback", "The version before comes back", lambda: rollback(api.registry, FEATURES.system)),
        gone("redis", "Redis is gone"),
        gone("kafka", "Kafka is gone"),
        gone("mlflow", "MLflow is gone"),
        Scene("burst", f"{BURST} times as many requests", times=BURST),
        Scene("overload", f"{OVERLOAD} times as many requests, more than can be answered", times=OVERLOAD),
    ]


def _play(scene: Scene, api: Api, rate: int, seconds: int) -> Seen:
    loaded: list[Samples] = []
    load = threading.Thread(target=lambda: loaded.append(_load(api, rate, seconds, scene.times)))
    load.start()
    time.sleep(seconds / 3)
    began = time.time()
    scene.begin()
    time.sleep(max(began + seconds / 3 - time.time(), 0))
    scene.end()
    ended = time.time()
    load.join()
    answers = loaded[0].rows.rename(columns={"value": "waited_ms"})
    dropped = loaded[0].metrics.count("dropped_iterations")
    first = float(answers["at_s"].min())
    answers["at_s"] -= first
    if scene.times > 1:  # the load itself is the disturbance, and k6's clock tells when
        return Seen(scene, answers, seconds / 3, 2 * seconds / 3, dropped)
    return Seen(scene, answers, began - first, ended - first, dropped)


def _load(api: Api, rate: int, seconds: int, times: int) -> Samples:
    """k6's samples of what each answer was, with the milliseconds that it took."""
    return api.k6_samples(__file__, {"RATE": rate, "SECONDS": seconds, "TIMES": times}, "waited", tag="outcome")


if __name__ == "__main__":
    typer.run(main)
