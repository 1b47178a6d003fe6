"""What clients see while something goes wrong: decisions under an open loop, on real Kafka, Redis and MLflow.

In the middle third of each scene the champion moves (`swap`), moves back (`rollback`), Redis, Kafka or MLflow is
stopped, or five times as many requests arrive (`burst`). `*_failed` counts requests that got neither a decision nor an
early 503 with Retry-After; `*_degraded` are decisions that name what they lacked, `*_refused` those 503s; `*_p99_ms` is
of all answers from the begin of the disturbance to its end; `*_recovered_s` is how long after the end the last answer
came that was no full decision (0: none did). `--page` writes a page with every scene over time.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.api import await_model, run_k6
from benchmarks.decision_latency import HISTORY_DAYS, SERVICES
from benchmarks.hot_swap import register_versions
from benchmarks.online import make_world, online_stack, preload
from benchmarks.outages_page import write_page
from benchmarks.report import Figure, emit
from lamina.definitions.fraud import FEATURES
from lamina.local.stack import Stack
from lamina.registry.deploy import promote, rollback
from lamina.registry.mlflow import MlflowRegistry
from lamina.worlds.wire import event_bytes

RATE = 100
BURST = 5
BODIES = 2_000
POLL_S = 0.5
QUICK = ("swap", "redis", "burst")
DECIDED, REFUSED, FAILED = "decided", "refused_503", "failed"
DEADLINE_MS = 100
NOTHING: Callable[[], object] = lambda: None  # noqa: E731


@dataclass(frozen=True)
class Scene:
    """What happens a third into a load, what ends it after another third, and the load of that third."""

    name: str
    title: str
    begin: Callable[[], object] = NOTHING
    end: Callable[[], object] = NOTHING
    times: int = 1


@dataclass(frozen=True)
class Seen:
    """A scene as its clients saw it. answers: columns `at_s` (from the first), `waited_ms`, `outcome`.

    began_s, ended_s: the disturbance, on the same clock.
    """

    scene: Scene
    answers: pd.DataFrame
    began_s: float
    ended_s: float

    def figures(self) -> dict[str, Figure]:
        """The scene's figures, by name."""
        kinds, at = self.answers["outcome"], self.answers["at_s"]
        during = self.answers["waited_ms"][(at >= self.began_s) & (at <= self.ended_s)]
        late = at[(kinds != DECIDED) & (at > self.ended_s)]
        failed, refused = kinds.str.startswith(FAILED), kinds == REFUSED
        found = {
            "requests": len(kinds),
            "failed": int(failed.sum()),
            "degraded": int((~failed & ~refused & (kinds != DECIDED)).sum()),
            "refused": int(refused.sum()),
            "p99_ms": round(float(np.percentile(during, 99)), 1),
            "recovered_s": round(float(late.max() - self.ended_s), 1) if len(late) else 0.0,
        }
        return {f"{self.scene.name}_{key}": value for key, value in found.items()}


def main(
    quick: Annotated[bool, typer.Option(help="Three scenes, shorter.")] = False,
    rate: Annotated[int, typer.Option(help="Transactions a second.")] = RATE,
    page: Annotated[Path | None, typer.Option(help="Write the page with the plots there.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    users, seconds = (20, 6) if quick else (200, 30)
    polls = {"LAMINA_CHAMPION_POLL_S": str(POLL_S)}
    with (
        tempfile.TemporaryDirectory(prefix="lamina-bench-") as name,
        online_stack(Path(name), SERVICES, polls) as stack,
    ):
        folder = Path(name)
        world = make_world(users, HISTORY_DAYS)
        preload(stack.env["LAMINA_REDIS_URL"], world, HISTORY_DAYS)
        (folder / "bodies.jsonl").write_bytes(b"\n".join(islice(event_bytes(world.day(HISTORY_DAYS)), BODIES)))
        registry = MlflowRegistry(stack.env["LAMINA_MLFLOW_URI"])
        versions = register_versions(registry, folder)
        stack.start("api")
        await_model(stack)
        scenes = [scene for scene in _scenes(stack, registry, versions[0]) if not quick or scene.name in QUICK]
        _load(stack, folder, rate, 6, 1)  # warms what is compiled and connected on first use
        seen = [_play(scene, stack, folder, rate, seconds) for scene in scenes]
    figures: dict[str, Figure] = {"rate": rate, "seconds": seconds}
    bars: dict[str, str] = {}
    for found in seen:
        figures |= found.figures()
        bars[f"{found.scene.name}_failed"] = "== 0"
        bars[f"{found.scene.name}_recovered_s"] = "<= 5"
        if found.scene.times == 1:
            bars[f"{found.scene.name}_p99_ms"] = f"<= {DEADLINE_MS}"
    if page is not None:
        write_page(page, seen, figures)
    if not emit("outages", figures, bars, json_file):
        raise typer.Exit(1)


def _scenes(stack: Stack, registry: MlflowRegistry, other: str) -> list[Scene]:
    def gone(name: str, title: str) -> Scene:
        return Scene(name, title, lambda: stack.stop_service(name), lambda: stack.start(name))

    return [
        Scene("swap", "Another version becomes the champion", lambda: promote(registry, FEATURES.system, other)),
        Scene("rollback", "The version before comes back", lambda: rollback(registry, FEATURES.system)),
        gone("redis", "Redis is gone"),
        gone("kafka", "Kafka is gone"),
        gone("mlflow", "MLflow is gone"),
        Scene("burst", f"{BURST} times as many requests", times=BURST),
    ]


def _play(scene: Scene, stack: Stack, folder: Path, rate: int, seconds: int) -> Seen:
    loaded: list[pd.DataFrame] = []
    load = threading.Thread(target=lambda: loaded.append(_load(stack, folder, rate, seconds, scene.times)))
    load.start()
    time.sleep(seconds / 3)
    began = time.time()
    scene.begin()
    time.sleep(max(began + seconds / 3 - time.time(), 0))
    scene.end()
    ended = time.time()
    load.join()
    answers = loaded[0]
    first = float(answers["at_s"].min())
    answers["at_s"] -= first
    if scene.times > 1:  # the load itself is the disturbance, and k6's clock tells when
        return Seen(scene, answers, seconds / 3, 2 * seconds / 3)
    return Seen(scene, answers, began - first, ended - first)


def _load(stack: Stack, folder: Path, rate: int, seconds: int, times: int) -> pd.DataFrame:
    """Every answer: `at_s`, when it came, epoch seconds, `waited_ms` and `outcome`."""
    samples = folder / "samples.csv"
    variables = {"BODIES": folder / "bodies.jsonl", "RATE": rate, "SECONDS": seconds, "TIMES": times}
    run_k6(Path(__file__).with_suffix(".js"), stack, folder, _texts(variables), samples=samples)
    found = pd.read_csv(samples, usecols=["metric_name", "timestamp", "metric_value", "extra_tags"], dtype=str)
    found = found[found["metric_name"] == "waited"]
    return pd.DataFrame(
        {
            "at_s": found["timestamp"].astype(float) / 1000,
            "waited_ms": found["metric_value"].astype(float),
            "outcome": found["extra_tags"].str.extract(r"outcome=([^&]+)")[0],
        }
    )


def _texts(variables: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in variables.items()}


if __name__ == "__main__":
    typer.run(main)
