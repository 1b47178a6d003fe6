"""Parts of the stream are killed while a load runs; afterwards everything is counted again from the topic's log.

`kills`: what was killed with `kill -9`, singly and in combination, by a schedule from the seed. `outages`: minutes for
which the broker stood still. `events`: events that the broker acknowledged. `tiles`: tiles of the store that were
compared, each with its number of events. `differences`: tiles, features and dead letters that are not what the slow
reference says.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.fire.arena import REDIS, SINK, TASK_MANAGER, VICTIMS, Arena
from benchmarks.report import emit

BARS = {"differences": "<= 0", "lost": "<= 0", "doubled": "<= 0"}
SECONDS = 1800
QUICK_ROUNDS = ((TASK_MANAGER, SINK, REDIS),)
LONGEST_PAUSE_S = 40.0
MOST_AT_ONCE = 3


def main(
    quick: Annotated[bool, typer.Option(help="One round of three instead of half an hour.")] = False,
    seed: Annotated[int, typer.Option(help="Of the load and of the schedule.")] = 1,
    seconds: Annotated[int, typer.Option(help="How long the load runs in the long form.")] = SECONDS,
    rate: Annotated[int, typer.Option(help="Messages a second.")] = 200,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Kill, recount, print, and end with 1 when something is wrong."""
    users = 100 if quick else 3000
    with (
        tempfile.TemporaryDirectory(prefix="lamina-bench-") as folder,
        Arena(Path(folder), seed=seed, rate=rate, users=users) as arena,
    ):
        if quick:
            for victims in QUICK_ROUNDS:
                arena.kill(victims)
        else:
            _shoot(arena, random.Random(seed), time.monotonic() + seconds)
        found = arena.recount()
    for example in found.examples:
        print(example)
    figures: dict[str, float | int | str] = {
        "kills": arena.killed.total(),
        **{f"kills of {victim}": arena.killed[victim] for victim in VICTIMS},
        "outages": arena.outages,
        "events": len(arena.load.acknowledged),
        **{f"events {kind}": n for kind, n in sorted(arena.load.kinds.items())},
        "tiles": found.tiles,
        "features": found.features,
        "differences": found.total,
        "lost": found.lost,
        "doubled": found.doubled,
        "seed": seed,
    }
    if not emit("kill_and_recount", figures, BARS, json_file):
        raise typer.Exit(1)


def _shoot(arena: Arena, rng: random.Random, end: float) -> None:
    """Each victim and an outage once and in turn, then one to three at once or an outage, with pauses of random length,
    until `end`.
    """
    rounds: list[list[str]] = [[], *([victim] for victim in VICTIMS)]
    rng.shuffle(rounds)
    while time.monotonic() < end:
        victims = rounds.pop() if rounds else rng.sample(VICTIMS, rng.randint(0, MOST_AT_ONCE))
        if victims:
            arena.kill(victims)
        else:
            arena.silence_kafka()
        time.sleep(max(min(rng.uniform(0, LONGEST_PAUSE_S), end - time.monotonic()), 0))


if __name__ == "__main__":
    typer.run(main)
