"""How far a rollout is: of every generation, and of every tile spec in each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lamina.clock import midnight_ms, next_day
from lamina.errors import StackError
from lamina.rollout.generation import Generation, lacking
from lamina.rollout.progress import Read, StreamProgress, unfilled
from lamina.rollout.records import Record, live_of, read_records
from lamina.rollout.steps import newest_day
from lamina.rollout.stream_jobs import jobs_of
from lamina.settings import Settings
from lamina.store.filled import Filled, Until
from lamina.store.redis import RedisStore
from lamina.streams.submit import job_states

State = Literal["live", "filling", "kept", "not begun"]
NO_JOB = "not needed"


@dataclass(frozen=True)
class GenerationStatus:
    """One generation: since when it is what it is, epoch ms, the state of its stream job in Flink's words or None
    without a job, and what its stream has read.
    """

    id: str
    state: State
    since_ms: int | None
    is_own: bool
    job: str | None
    read: Read | None


@dataclass(frozen=True)
class SpecStatus:
    """One tile spec in one layer, and the generations that read it.

    batch_end_ms: up to when its batch tiles are in Redis; None where nobody noted it, as of those that were published
    before there were rollouts. problem: what is missing, or None.
    """

    key: str
    layer: Literal["batch", "speed"]
    generations: tuple[str, ...]
    batch_end_ms: int | None
    problem: str | None


@dataclass(frozen=True)
class Status:
    """All of it; the generation that the code at hand defines is among them, recorded or not."""

    generations: Sequence[GenerationStatus]
    specs: Sequence[SpecStatus]


def status(settings: Settings, own: Generation) -> Status:
    """How far the generations of a system are now.

    Raises: StreamError, StoreUnavailable: when Kafka or Redis does not answer. DefinitionError, RolloutError: when a
    record cannot be read.
    """
    records = read_records(settings.lake_url, own.system)
    live = live_of(records)
    shown = [*records, *([] if own.id in {r.id for r in records} else [Record(own, 0)])]
    store = RedisStore(settings.redis_url.get_secret_value())
    jobs = _jobs(settings, own.system)
    states: dict[str, State] = {}
    found = []
    for record in shown:
        state = states[record.id] = _state(record, live)
        generation, read = record.generation, None
        if state != "not begun" and generation.plan.speed:
            with StreamProgress(settings, generation, store) as progress:
                read = progress.now()
        since_ms = record.live_ms if record.live_ms is not None else record.began_ms or None
        job = jobs.get(generation.job_name) if generation.plan.speed else NO_JOB
        found.append(GenerationStatus(record.id, state, since_ms, record.id == own.id, job, read))
    filled = Filled(settings.redis_url.get_secret_value()).read()
    return Status(found, _specs(settings, shown, live, filled, {each.id: each for each in found}))


def lacks(settings: Settings, own: Generation) -> list[str]:
    """What keeps answers from all that `own` defines, which is live, a sentence each; none where all of it is there.

    Raises: as `status`.
    """
    found = status(settings, own)
    (shown,) = (each for each in found.generations if each.is_own)
    told = []
    if shown.job is None:
        told.append(f"the stream job {own.job_name} does not run: `lamina up` starts it")
    elif shown.job not in ("RUNNING", NO_JOB):
        told.append(f"the stream job {own.job_name} is {shown.job.lower()}: see {settings.flink_url}")
    day = newest_day(settings, own.plan)
    if day is None:
        return [*told, f"the lake has no batch tiles of it: run the DAG features_daily_{own.system}"]
    ends = {spec.key: spec.batch_end_ms or 0 for spec in found.specs if spec.layer == "batch"}
    if late := [spec.key for spec in own.plan.tile_specs if ends[spec.key] < midnight_ms(next_day(day))]:
        told.append(
            f"Redis has not all batch tiles of {day} of {', '.join(late)}: run python -m jobs.spark.publish --system "
            f"{own.system} --date {day}"
        )
    return told


def _state(record: Record, live: Record | None) -> State:
    if live is not None and record.id == live.id:
        return "live"
    if record.live_ms is not None:
        return "kept"
    return "filling" if record.began_ms else "not begun"


def _jobs(settings: Settings, system: str) -> dict[str, str]:
    try:
        return dict(jobs_of(system, job_states(settings.flink_url)).values())
    except StackError:
        return {}


def _specs(
    settings: Settings,
    records: Sequence[Record],
    live: Record | None,
    filled: Mapping[str, Until],
    known: Mapping[str, GenerationStatus],
) -> list[SpecStatus]:
    day = newest_day(settings, live.generation.plan) if live else None
    end_ms = midnight_ms(next_day(day)) if day else 0
    known_to_be = [live.generation.plan] if live else []
    missing = {
        spec.key for r in records for spec in unfilled(lacking(r.generation.plan, known_to_be), filled, end_ms) if day
    }
    found = []
    for key in dict.fromkeys(t.key for r in records for t in r.generation.plan.tile_specs):
        readers = tuple(r.id for r in records if any(t.key == key for t in r.generation.plan.tile_specs))
        until = filled.get(key)
        problem = "not filled, or not far enough back" if key in missing else None
        found.append(SpecStatus(key, "batch", readers, until.batch_end_ms if until else None, problem))
    for key in dict.fromkeys(t.key for r in records for t in r.generation.plan.speed):
        readers = tuple(r.id for r in records if any(t.key == key for t in r.generation.plan.speed))
        reads = [read for r in readers if (read := known[r].read) is not None]
        left = min((read.left + read.tiles for read in reads), default=None)
        problem = "not begun" if left is None else f"{left} to go" if left else None
        found.append(SpecStatus(key, "speed", readers, None, problem))
    return found
