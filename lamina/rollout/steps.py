"""The steps of a rollout, each of which may be repeated: whoever killed one runs it again, and it goes on.

    record    the generation, before anything of it exists: daily runs keep it from now on
    submit    its stream job, beside the old one, from the beginning of the topics
    fill      the batch tiles of what is new in it, of the newest day that the old generation has
    wait      until all tiles of both layers can be read
    go live   note the time, which every API process sees within seconds

`finish` takes back what all other generations have left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from lamina.clock import midnight_ms, next_day
from lamina.contracts.features import FeatureSet
from lamina.definitions import load, system_names
from lamina.errors import RolloutError, StackError
from lamina.features.built import built_through, tiles_url
from lamina.lake.files import remove
from lamina.lake.write import open_lake
from lamina.rollout.generation import Generation, lacking
from lamina.rollout.progress import StreamProgress, forget_group, unfilled
from lamina.rollout.records import Record, live_of, read_records, remove_record, write_record
from lamina.rollout.stream_jobs import cancel_others, jobs_of
from lamina.semantics.plan import Plan, TileSpec
from lamina.settings import Settings
from lamina.store.filled import Filled
from lamina.store.redis import RedisStore
from lamina.store.redis_removal import Removal
from lamina.streams.submit import job_states

ROUND_S = 30.0
"""A checkpoint every ten seconds, and what comes after it: a stream that needs longer is behind."""
POLL_S = 0.5
SEEN_S = 30.0
"""In which every API process has seen what can be read: they look every two seconds."""
MOVE_S = 120.0
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Means:
    """How the steps reach what they do not do themselves.

    submit: starts the stream job of a generation. fill: builds and publishes the batch tiles of what is new, of a day;
    its exit code. now_ms: the time. sleep: waits for seconds. tell: shows a line. misfit: why the champion cannot read
    the features of a definition, or None.
    """

    submit: Callable[[Generation], object]
    fill: Callable[[date], int]
    now_ms: Callable[[], int]
    tell: Tell
    sleep: Callable[[float], None] = time.sleep
    misfit: Callable[[FeatureSet], str | None] = lambda features: None


def begin(settings: Settings, own: Generation, now_ms: int) -> Record:
    """The record of `own`, made if there is none. Where no generation was ever read, it is live at once.

    Raises: DefinitionError, RolloutError: when a record cannot be read by this version.
    """
    records = read_records(settings.lake_url, own.system)
    live = live_of(records)
    found = next((record for record in records if record.id == own.id), None)
    if found is None:
        found = Record(own, now_ms, None if live else now_ms)
        write_record(settings.lake_url, found)
    elif found.generation != own:
        # What is made when it is read was changed: nothing has to be filled.
        found = replace(found, generation=own)
        write_record(settings.lake_url, found)
    return found


def start(settings: Settings, own: Generation, means: Means) -> Record:
    """Fill `own` beside the generation that is live, and make it the live one; returns its record.

    Raises: StackError: when a stream job cannot be started, or ends. StreamError, StoreUnavailable: when Kafka or Redis
    does not answer. RolloutError: when the batch tiles cannot be filled, nobody recorded what is read now, or somebody
    finished another rollout meanwhile.
    """
    _require_what_is_read(settings, own)
    record = begin(settings, own, means.now_ms())
    live = live_of(read_records(settings.lake_url, own.system))
    if live is not None and live.id == own.id:
        return live
    submit_missing(settings, [own], means)
    store = RedisStore(settings.redis_url.get_secret_value())
    while True:
        if live is not None:
            _fill(settings, own, live.generation.plan, means)
        if own.plan.speed:
            _catch_up(settings, own, store, means)
        # Redis may have been emptied meanwhile.
        if live is None or not batch_gap(settings, own.plan, live.generation.plan):
            break
    records = read_records(settings.lake_url, own.system)
    if own.id not in {each.id for each in records}:
        raise RolloutError(
            f"generation {own.id} was removed meanwhile, by a --finish of another version: run `lamina features "
            f"rollout --system {own.system} --start` again"
        )
    # The clock of another machine may be ahead of this one's.
    newest_ms = max(each.live_ms or 0 for each in records)
    record = record.went_live(max(means.now_ms(), newest_ms + 1))
    write_record(settings.lake_url, record)
    return record


def _require_what_is_read(settings: Settings, own: Generation) -> None:
    """Without any record the first generation is live at once: it must be the one that is read."""
    if not own.plan.speed or read_records(settings.lake_url, own.system):
        return
    jobs = jobs_of(own.system, job_states(settings.flink_url)).values()
    # Of a job of before generations nobody knows what it keeps.
    if others := sorted({name for name, _ in jobs} - {own.job_name, f"lamina-stream-{own.system}"}):
        raise RolloutError(
            f"it is not recorded which features of {own.system!r} are read, and {', '.join(others)} fills others than "
            f"this code defines: run `lamina features rollout --system {own.system} --start` once with the code that "
            "is served, then with this one"
        )


def submit_missing(settings: Settings, generations: Sequence[Generation], means: Means) -> None:
    """Start the stream jobs of `generations` that do not run.

    Raises: StackError: when Flink does not answer, or does not take a job.
    """
    for generation in generations:
        names = {name for name, _ in jobs_of(generation.system, job_states(settings.flink_url)).values()}
        if generation.plan.speed and generation.job_name not in names:
            means.tell(f"starting the stream job {generation.job_name}")
            # What an earlier job of this name has read is no progress of this one.
            forget_group(settings, generation)
            means.submit(generation)


def newest_day(settings: Settings, plan: Plan) -> date | None:
    """The newest day through whose end the lake has every batch tile of `plan`; None without any."""
    built = built_through(settings.lake_url, plan)
    return built[-1] - timedelta(days=1) if built else None


def batch_gap(settings: Settings, own: Plan, live: Plan) -> list[TileSpec]:
    """The tile specs that `live` lacks and of which not all batch tiles up to its newest day are published."""
    day = newest_day(settings, live)
    if day is None:
        return []
    filled = Filled(settings.redis_url.get_secret_value()).read()
    return unfilled(lacking(own, [live]), filled, midnight_ms(next_day(day)))


def _fill(settings: Settings, own: Generation, live: Plan, means: Means) -> None:
    if not (gap := batch_gap(settings, own.plan, live)):
        return
    day = newest_day(settings, live)
    assert day is not None, "a gap is one up to a day"
    means.tell(f"batch tiles of {day} for {', '.join(spec.key for spec in gap)}")
    if code := means.fill(day):
        raise RolloutError(
            f"the batch tiles of {own.system!r} for {day} were not filled (exit code {code}): see above, and run "
            "`lamina features rollout --start` again"
        )


def _catch_up(settings: Settings, own: Generation, store: RedisStore, means: Means) -> None:
    """Return when a moment's events, and the tiles made of them, went through all steps within `ROUND_S`."""
    with StreamProgress(settings, own, store) as progress:

        def wait(done: Callable[[], bool]) -> None:
            while not done():
                state, found = _job_state(settings, own), progress.now()
                text = f"{found.left} of {found.events} events are to be read, {found.tiles} tiles to be moved"
                if state != "RUNNING":
                    text += f"; the stream job is {state.lower()}: see {settings.flink_url}"
                means.tell(text)
                means.sleep(POLL_S)

        while True:
            began = time.monotonic()
            events = progress.ends()
            wait(lambda events=events: progress.has_read(events))  # type: ignore[misc]
            tiles = progress.tiles_end()
            wait(lambda tiles=tiles: progress.has_moved(tiles))  # type: ignore[misc]
            if time.monotonic() - began <= ROUND_S:
                return


def _job_state(settings: Settings, own: Generation) -> str:
    states = dict(jobs_of(own.system, job_states(settings.flink_url)).values())
    if own.job_name not in states:
        raise StackError(
            f"the stream job {own.job_name} has ended: see {settings.flink_url}, mend what ended it, and run "
            "`lamina features rollout --start` again"
        )
    return states[own.job_name]


def finish(settings: Settings, own: Generation, means: Means) -> list[str]:
    """Take back what the generations other than `own` have left; returns their ids.

    Raises: RolloutError: when `own` is not live, the champion needs what would be removed, or the sink does not move
    what the old jobs wrote.
    """
    records = read_records(settings.lake_url, own.system)
    _require_live(records, own)
    others = [record for record in records if record.id != own.id]
    if others and (complaint := means.misfit(own.features)):
        raise RolloutError(
            f"the champion of {own.system!r} was trained on the features from before ({complaint}): train and promote "
            "one that knows these first, or it is answered without a model"
        )
    if read := [record for record in others if record.live_ms is not None]:
        for record in read:
            write_record(settings.lake_url, record.withdrawn())
        means.tell(f"waiting {SEEN_S:.0f} s, in which every process sees that {own.id} alone is read")
        means.sleep(SEEN_S)
        # Another one may have gone live meanwhile.
        _require_live(read_records(settings.lake_url, own.system), own)
    for name in cancel_others(settings.flink_url, own.system, [own.job_name]):
        means.tell(f"stopped the stream job {name}")
    if not others:
        return []
    _wait_moved(settings, own, means)
    _remove_tiles(settings, own, [record.generation.plan for record in others], means.tell)
    for record in others:
        if record.generation.job_name != own.job_name:
            forget_group(settings, record.generation)
        remove_record(settings.lake_url, record)
    return [record.id for record in others]


def _require_live(records: Sequence[Record], own: Generation) -> None:
    live = live_of(records)
    if live is None or live.id != own.id:
        raise RolloutError(
            f"the features of {own.system!r} that this code defines ({own.id}) are not live: run `lamina features "
            "rollout --start` first"
        )


def _wait_moved(settings: Settings, own: Generation, means: Means) -> None:
    """What the old jobs wrote last is in Redis: removed before, it would come back."""
    deadline = time.monotonic() + MOVE_S
    with StreamProgress(settings, own, RedisStore(settings.redis_url.get_secret_value())) as progress:
        end = progress.tiles_end()
        while not progress.has_moved(end):
            if time.monotonic() > deadline:
                raise RolloutError(
                    f"the sink has not moved all tiles within {MOVE_S:.0f} s: see that it runs, and run this again"
                )
            means.sleep(POLL_S)


def _remove_tiles(settings: Settings, own: Generation, others: Sequence[Plan], tell: Tell) -> None:
    kept = [own.plan, *_plans_of_others(settings, own.system)]
    batch = {t.key: t for t in _specs_without(others, kept, speed=False)}
    speed = {t.key: t for t in _specs_without(others, kept, speed=True)}
    url = settings.redis_url.get_secret_value()
    removal = Removal(url)
    # First: what is removed in part is not filled.
    Filled(url).forget(batch)
    for entity in dict.fromkeys(t.entity for t in (*batch.values(), *speed.values())):
        removal.speed(entity.name, [t.id for t in speed.values() if t.entity == entity])
        removal.batch(entity.name, [t.id for t in batch.values() if t.entity == entity])
    for spec in batch.values():
        fs, path = open_lake(tiles_url(settings.lake_url, spec, date.min).rsplit("/", 1)[0])
        if fs.exists(path):
            remove(fs, path)
    for key in {**batch, **speed}:
        tell(f"removed the tiles of {key}")


def _specs_without(others: Sequence[Plan], kept: Sequence[Plan], *, speed: bool) -> list[TileSpec]:
    def specs(plan: Plan) -> tuple[TileSpec, ...]:
        return plan.speed if speed else plan.tile_specs

    needed = {t.key for plan in kept for t in specs(plan)}
    return [t for plan in others for t in specs(plan) if t.key not in needed]


def _plans_of_others(settings: Settings, system: str) -> list[Plan]:
    """What other systems keep: of an entity that is shared they may keep the same."""
    found = []
    for name in system_names():
        if name != system:
            found.append(Generation(load(name)).plan)
            found += [record.generation.plan for record in read_records(settings.lake_url, name)]
    return found
