"""The world's days, compressed, on the real stack while its parts are restarted in turn: what grows, and what is lost.

A world's payments of the last days are posted to the API, a day in `DAY_S` seconds, beside a load of today's on the
topic with all that goes wrong in practice. At each end of such a day its batch layer is published, as every night.
Meanwhile one part after the other is restarted, orderly or by `kill -9`, and what each process, topic, Redis and the
journal take is noted.

`growth_mib`: the processes, Redis and the journal together, the median of the last tenth less that of the tenth after
the half; topics keep days, and grow by what arrives. `lost`: answered payments that are not on the topic, and events
that Redis does not count; `differences`: tiles, features and dead letters that are not what the slow reference says.
`--page` writes a page with everything over time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.fire.arena import PLAN, STREAM_JOB, TASK_MANAGER, Arena
from benchmarks.fire.clients import Clients
from benchmarks.fire.recount import (
    Difference,
    compare_features,
    compare_letters,
    compare_tiles,
    expected_tiles,
    read_log,
)
from benchmarks.fire.sampler import Sampler
from benchmarks.report import Figure, emit
from benchmarks.soak_page import write_page
from benchmarks.tiles import batch_writes
from lamina.clock import midnight_ms, system_clock
from lamina.definitions.fraud import FEATURES
from lamina.store.blobs import LATEST_MS
from lamina.store.redis import RedisStore
from lamina.worlds.fraud.world import FraudWorld
from lamina.worlds.protocol import World

BARS = {"lost": "== 0", "differences": "== 0"}
LONG_BARS = BARS | {"growth_mib": "<= 100"}
"""A task manager that was killed fills its heap again, and the others are level: so much lies between two moments."""
SECONDS, QUICK_SECONDS = 2700, 8
DAY_S, QUICK_DAY_S = 300, 4
PAUSE_S, QUICK_PAUSE_S = 30.0, 1.0
CAUGHT_UP_S = 120.0
QUICK_PARTS = ("api", "sink")


def main(
    quick: Annotated[bool, typer.Option(help="Eight seconds and two restarts.")] = False,
    seed: Annotated[int, typer.Option(help="Of the world and of the load.")] = 1,
    seconds: Annotated[int, typer.Option(help="How long the long form runs.")] = SECONDS,
    rate: Annotated[int, typer.Option(help="Messages a second on the topic, beside the world's payments.")] = 20,
    page: Annotated[Path | None, typer.Option(help="Write the page with the plots there.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Run, recount, print, and end with 1 when a bar is missed."""
    if quick:
        seconds = QUICK_SECONDS
    day_s, pause_s = (QUICK_DAY_S, QUICK_PAUSE_S) if quick else (DAY_S, PAUSE_S)
    users = 20 if quick else 500
    days = seconds // day_s
    world = FraudWorld(seed=seed, users=users, days=days, start=_today() - timedelta(days=days))
    with (
        tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder,
        Arena(Path(folder), seed=seed, rate=rate, users=users) as arena,
    ):
        arena.stack.start("api")
        sampler = Sampler(arena.stack, arena.settings, every_s=0.5 if quick else 5.0)
        clients = Clients(arena.stack.addresses["api"], world, day_s)
        sampler.start()
        clients.start()
        try:
            _live(arena, sampler, world, seconds, day_s, pause_s, QUICK_PARTS if quick else None)
        finally:
            clients.stop()
            sampler.stop()
        found = recount(arena, clients)
    for example in found.examples:
        print(example)
    figures: dict[str, Figure] = {
        "growth_mib": sampler.growth_mib(),
        **{f"peak_mib {name}": value for name, value in sampler.peaks_mib().items()},
        **{f"restarts of {part}": n for part, n in sorted(sampler.restarts.items())},
        "days": days,
        "answered": len(clients.answered),
        "refused": clients.refused,
        "events": len(arena.load.acknowledged),
        "tiles": found.tiles,
        "features": found.features,
        "lost": found.lost,
        "doubled": found.doubled,
        "differences": found.total,
        "seed": seed,
    }
    if page is not None:
        write_page(page, sampler, figures)
    if not emit("soak", figures, BARS if quick else LONG_BARS, json_file):
        raise typer.Exit(1)


def _live(
    arena: Arena,
    sampler: Sampler,
    world: World,
    seconds: int,
    day_s: int,
    pause_s: float,
    parts: Sequence[str] | None,
) -> None:
    """Restarts in turn with pauses, and the batch layer of each day at its end, until the time is over."""
    turns = _turns(arena)
    names = list(parts or turns)
    began, days, turn = time.monotonic(), 0, 0
    while (passed := time.monotonic() - began) < seconds or turn < len(parts or ()):
        if passed >= (days + 1) * day_s:
            days += 1
            publish(arena, midnight_ms(world.date_of(days)))
        name = names[turn % len(names)]
        turns[name]()
        sampler.restarted(name)
        turn += 1
        time.sleep(pause_s)


def _today() -> date:
    return datetime.fromtimestamp(system_clock() / 1000, UTC).date()


def _turns(arena: Arena) -> dict[str, Callable[[], object]]:
    def orderly(service: str) -> Callable[[], object]:
        return lambda: arena.stack.restart_service(service)

    return {
        **{service: orderly(service) for service in ("api", "sink", "redis", "kafka")},
        TASK_MANAGER: lambda: arena.kill([TASK_MANAGER]),
        STREAM_JOB: lambda: arena.kill([STREAM_JOB]),
    }


def publish(arena: Arena, batch_end_ms: int) -> None:
    """The batch layer up to `batch_end_ms`, out of everything that is on the topics, as the nightly run makes it."""
    log = read_log(arena.settings, PLAN)
    arrived = {source: [e for (of, _), own in log.events.items() if of == source for e in own] for source in log.ids}
    # The log has each event once for each of its entities; tiles count an id once.
    store = RedisStore(arena.settings.redis_url.get_secret_value())
    store.publish(batch_writes(PLAN, arrived, batch_end_ms))
    for entity in FEATURES.entities:
        store.advance_watermark(entity.name, batch_end_ms)


def recount(arena: Arena, clients: Clients) -> Difference:
    """End the load, wait until Redis has caught up, and compare what it holds with the reference.

    The batch layer is published once more: events that came late are in it from then on, and all tiles are.
    """
    arena.load.stop()
    url = arena.settings.redis_url.get_secret_value()
    deadline = time.monotonic() + CAUGHT_UP_S
    while True:
        log = read_log(arena.settings, PLAN)
        batch_end_ms = RedisStore(url).read([]).batch_end_ms.get(FEATURES.entities[0].name, 0)
        expected = {
            key: type(own)({name: n for name, n in own.items() if int(name.rpartition(b"/")[2]) >= batch_end_ms})
            for key, own in expected_tiles(PLAN, log).items()
        }
        found = compare_tiles(PLAN, expected, url, from_ms=batch_end_ms)
        unsent = (clients.answered | arena.load.acknowledged) - log.ids[FEATURES.request.name]
        if not (found.total or unsent) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    found.lost += len(unsent)
    if batch_end_ms:
        publish(arena, batch_end_ms)
    # Of what is older than a day before its end the batch layer keeps no more than later questions need.
    compare_features(PLAN, log, url, found, since_ms=max(batch_end_ms - LATEST_MS, 0))
    compare_letters(arena.settings, log, found)
    return found


if __name__ == "__main__":
    typer.run(main)
