"""The loop closed on a planted shift: how far a model falls when fraudsters change their ways, and what each way of
dealing with it gives back; and whether the API answers all requests while the repaired model takes over.

Every day is simulated by the product's own parts: labels become known up to a week late, reports watch the champion, an
alert asks for a training, the gate decides, and the next day is served by what it promoted. `auc_before` is of the week
before the shift, `auc_during` of the days from it on that the old version still served where an alert retrains, and
`auc_after` of the last week. `recovered_share` is (after - during) / (before - during), by `retraining` where no way is
named: `nothing` never trains, `daily` does so every day on the usual window, `ensemble` blends past versions besides
retraining, and `online` has the regression that learns row by row as its only challenger. `estimated_error` is how far
the AUC of a day is off that is estimated from scores alone, in the week before the shift and in the first of it: that
fraudsters changed their ways, scores cannot tell.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.api import POLL_OFTEN, serving_api
from benchmarks.hot_swap import swap_under_load
from benchmarks.loop_days import Days
from benchmarks.loop_ways import Pace, Way, days_between
from benchmarks.report import Figure, emit
from benchmarks.small_model import promote

BEFORE_DAYS = 36
RATE = 200
WEEK, ONE_DAY = timedelta(days=6), timedelta(days=1)
"""A week from its first day to its last, and a day."""
LEAST_FALL, LEAST_RECOVERED = 0.05, 0.8
BARS = {"fall": f">= {LEAST_FALL}", "recovered_share": f">= {LEAST_RECOVERED}", "failed": "== 0", "requests": ">= 1000"}


def main(
    quick: Annotated[bool, typer.Option(help="A short run on fewer users.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
) -> None:
    """Measure, print, and end with 1 when a bar is missed."""
    with tempfile.TemporaryDirectory(prefix="lamina-bench-") as name:
        form = QUICK if quick else LONG
        ways = simulate(form, Path(name))
        figures = compare(ways)
        retraining = ways["retraining"]
        figures |= swapped([retraining.artefacts(v) for v in ("1", retraining.champion)], form.seconds)
    if not emit("loop", figures, BARS, json_file):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Form:
    """How large a world is, for how many days it has shifted, which ways are tried on it, and for how many seconds the
    API is asked.
    """

    users: int
    after_days: int
    ways: tuple[str, ...]
    pace: Pace
    seconds: int


LONG = Form(3000, 42, ("nothing", "retraining", "ensemble", "online", "daily"), Pace(), 30)
QUICK = Form(500, 28, ("nothing", "retraining"), Pace(timedelta(days=2), 40), 8)


def simulate(form: Form, folder: Path) -> dict[str, Way]:
    """Each way over all days from a week before the shift on."""
    days = Days.of(form.users, BEFORE_DAYS, form.after_days)
    first = Way(days, folder / "first", form.pace)
    first.train(days.shift - timedelta(days=1))
    found = {name: Way.after(first, folder / name) for name in form.ways}
    for name, way in found.items():
        act = ACTS[name]
        for day in days_between(days.shift - timedelta(days=7), days.last):
            way.serves[day] = way.champion
            if day >= days.shift:
                act(way, day)
    return found


def _nothing(way: Way, day: date) -> None:
    """The first version serves for ever."""


def _when_asked(way: Way, day: date) -> None:
    way.watch(day)
    if (conf := way.asked(day)) is not None:
        way.train(day, conf)


def _with_blends(way: Way, day: date) -> None:
    _when_asked(way, day)
    way.blend(day)


ACTS: Mapping[str, Callable[[Way, date], None]] = {
    "nothing": _nothing,
    "retraining": _when_asked,
    "ensemble": _with_blends,
    "online": Way.learn,
    "daily": Way.train,
}
"""What is done at the end of a day."""


def compare(ways: Mapping[str, Way]) -> dict[str, Figure]:
    """The AUC before, during and after by each way, and what share of the fall it gave back."""
    retraining = ways["retraining"]
    days = retraining.days
    replaced = next((day for day, version in retraining.serves.items() if version != "1"), days.last)
    before = retraining.auc(days.shift - timedelta(days=7), days.shift - timedelta(days=1))
    during = retraining.auc(days.shift, replaced - timedelta(days=1))
    figures: dict[str, Figure] = {
        "auc_before": round(before, 4),
        "auc_during": round(during, 4),
        "fall": round(before - during, 4),
        "alert_after_days": (retraining.alerts[0] - days.shift).days + 1 if retraining.alerts else -1,
        "replaced_after_days": (replaced - days.shift).days,
        "estimated_error": round(retraining.estimated_error("1", days.shift - WEEK - ONE_DAY, days.shift - ONE_DAY), 4),
        "estimated_error_during": round(retraining.estimated_error("1", days.shift, days.shift + WEEK), 4),
    }
    for name, way in ways.items():
        after = way.auc(days.last - WEEK, days.last)
        prefix = "" if name == "retraining" else f"{name}_"
        figures |= {
            f"{prefix}auc_after": round(after, 4),
            f"{prefix}recovered_share": round((after - during) / (before - during), 4),
            f"{prefix}trained": way.trained,
            f"{prefix}versions": len(set(way.serves.values())),
            f"{prefix}auc_since_shift": round(way.auc(days.shift, days.last), 4),
        }
    return figures


def swapped(artefacts: list[Path], seconds: int) -> dict[str, Figure]:
    """What became of requests while the API went over between the first version and the repaired one and back."""
    with serving_api(20, settings=POLL_OFTEN) as api:
        versions = [promote(api.registry, folder) for folder in artefacts]
        found, took = swap_under_load(api, versions, RATE, seconds)
    return {
        "requests": found.count("http_reqs"),
        "failed": found.count("failed"),
        "mixed": found.count("mixed"),
        "swaps": len(took),
        "took_over_s": round(max(took, default=0.0), 2),
    }


if __name__ == "__main__":
    typer.run(main)
