"""The steps of a rollout: what each does when called twice, when one before was killed, when something is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Self

import pytest

from lamina.clock import midnight_ms, next_day
from lamina.errors import RolloutError, StackError
from lamina.features.built import tiles_url
from lamina.rollout import steps
from lamina.rollout.generation import Generation, lacking
from lamina.rollout.records import Record, live_of, read_records, remove_record, write_record
from lamina.rollout.status import lacks, status
from lamina.semantics.plan import TileSpec
from lamina.settings import Settings, load_settings
from lamina.store.filled import Until
from tests.unit.rollout.sets import NEW, OLD

DAY = date(2018, 8, 14)
END_MS = midnight_ms(next_day(DAY))
OLDER, NEWER = Generation(OLD), Generation(NEW)


class Killed(Exception):
    """Whoever ran a step is gone."""


@dataclass
class World:
    """Flink, Kafka and Redis, as far as the steps ask them."""

    settings: Settings
    jobs: dict[str, tuple[str, str]] = field(default_factory=dict)
    filled: dict[str, Until] = field(default_factory=dict)
    removed: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    rounds: int = 2
    done: list[str] = field(default_factory=list)
    now_ms: int = 1000
    on_read: Callable[[], None] = lambda: None

    def means(self) -> steps.Means:
        return steps.Means(self.submit, self.fill, lambda: self.now_ms, lambda text: None, self.sleep)

    def submit(self, generation: Generation) -> None:
        self.done.append(f"submit {generation.id}")
        self.jobs[generation.id] = (generation.job_name, "RUNNING")

    def fill(self, day: date) -> int:
        self.done.append(f"fill {day}")
        live = live_of(read_records(self.settings.lake_url, "fraud"))
        own = NEWER if live is not None and live.id == OLDER.id else OLDER
        assert live is not None
        self.note(lacking(own.plan, [live.generation.plan]))
        return 0

    def note(self, specs: Iterable[TileSpec]) -> None:
        self.filled |= {spec.key: Until(END_MS, spec.reach) for spec in specs}

    def sleep(self, seconds: float) -> None:
        self.now_ms += round(1000 * seconds)

    def build(self, generation: Generation) -> None:
        """The batch tiles of a generation in the lake and in Redis."""
        for spec in generation.plan.tile_specs:
            Path(tiles_url(self.settings.lake_url, spec, next_day(DAY))).mkdir(parents=True, exist_ok=True)
        self.note(generation.plan.tile_specs)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(load_settings(lake_url=str(tmp_path / "lake")))

    class Progress:
        def __init__(self, settings: Settings, generation: Generation, store: object) -> None:
            self.left = made.rounds

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def ends(self) -> Mapping[tuple[str, int], int]:
            return {("transactions", 0): 9}

        tiles_end = ends

        def has_read(self, ends: object) -> bool:
            made.on_read()
            self.left -= 1
            return self.left <= 0

        def has_moved(self, ends: object) -> bool:
            return True

        def now(self) -> object:
            from lamina.rollout.progress import Read

            return Read(9, 0, 0)

    class Filled:
        def __init__(self, url: str) -> None: ...

        def read(self) -> Mapping[str, Until]:
            return made.filled

        def forget(self, keys: Iterable[str]) -> None:
            for key in list(keys):
                made.filled.pop(key, None)

    class Removal:
        def __init__(self, url: str) -> None: ...

        def speed(self, entity: str, specs: Iterable[str]) -> None:
            made.removed.append(("speed", entity, tuple(specs)))

        def batch(self, entity: str, specs: Iterable[str]) -> None:
            made.removed.append(("batch", entity, tuple(specs)))

    monkeypatch.setattr(steps, "forget_group", lambda settings, generation: made.forgotten.append(generation.id))
    for module in ("steps", "status"):
        monkeypatch.setattr(f"lamina.rollout.{module}.StreamProgress", Progress)
        monkeypatch.setattr(f"lamina.rollout.{module}.Filled", Filled)
        monkeypatch.setattr(f"lamina.rollout.{module}.job_states", lambda url: dict(made.jobs))
    monkeypatch.setattr(steps, "Removal", Removal)
    monkeypatch.setattr("lamina.rollout.stream_jobs.job_states", lambda url: dict(made.jobs))
    monkeypatch.setattr("lamina.rollout.stream_jobs.cancel", lambda url, job_id: made.jobs.pop(job_id))
    steps.begin(made.settings, OLDER, 1)
    made.submit(OLDER)
    made.build(OLDER)
    made.done.clear()
    return made


def live(world: World) -> str | None:
    found = live_of(read_records(world.settings.lake_url, "fraud"))
    return found.id if found else None


def test_what_is_first_is_live_at_once(world: World) -> None:
    assert live(world) == OLDER.id
    assert steps.start(world.settings, OLDER, world.means()).live_ms == 1
    assert world.done == []


def test_what_is_new_is_filled_and_then_live(world: World) -> None:
    record = steps.start(world.settings, NEWER, world.means())
    assert world.done == [f"submit {NEWER.id}", f"fill {DAY}"]
    assert (live(world), record.live_ms) == (NEWER.id, world.now_ms)
    assert steps.start(world.settings, NEWER, world.means()) == record
    assert len(world.done) == 2


def test_a_clock_that_is_behind_makes_live_all_the_same(world: World) -> None:
    (record,) = read_records(world.settings.lake_url, "fraud")
    write_record(world.settings.lake_url, record.went_live(10**13))
    assert steps.start(world.settings, NEWER, world.means()).live_ms == 10**13 + 1
    assert live(world) == NEWER.id


def test_nothing_is_live_that_was_not_filled(world: World) -> None:
    """Killed while the stream reads: the next call goes on, and repeats nothing that is done."""

    def kill() -> None:
        assert live(world) == OLDER.id
        raise Killed

    world.on_read = kill
    with pytest.raises(Killed):
        steps.start(world.settings, NEWER, world.means())
    assert live(world) == OLDER.id
    world.on_read = lambda: None
    steps.start(world.settings, NEWER, world.means())
    assert live(world) == NEWER.id
    assert world.done == [f"submit {NEWER.id}", f"fill {DAY}"]


def test_a_redis_that_was_emptied_meanwhile_is_filled_again(world: World) -> None:
    def empty() -> None:
        world.filled.clear()
        world.on_read = lambda: None

    world.on_read = empty
    steps.start(world.settings, NEWER, world.means())
    assert world.done == [f"submit {NEWER.id}", f"fill {DAY}", f"fill {DAY}"]
    assert live(world) == NEWER.id


def test_a_stream_job_that_ends_is_told(world: World) -> None:
    world.on_read = lambda: world.jobs.pop(NEWER.id, None)  # type: ignore[assignment]
    with pytest.raises(StackError, match=f"the stream job {NEWER.job_name} has ended"):
        steps.start(world.settings, NEWER, world.means())
    assert live(world) == OLDER.id
    world.on_read = lambda: None
    steps.start(world.settings, NEWER, world.means())
    assert world.done.count(f"submit {NEWER.id}") == 2


def test_batch_tiles_that_fail_are_told(world: World) -> None:
    with pytest.raises(RolloutError, match="were not filled \\(exit code 3\\)"):
        steps.start(world.settings, NEWER, replace(world.means(), fill=lambda day: 3))
    assert live(world) == OLDER.id


def test_without_a_batch_layer_the_stream_is_enough(world: World) -> None:
    for spec in OLDER.plan.tile_specs:
        Path(tiles_url(world.settings.lake_url, spec, next_day(DAY))).rmdir()
    steps.start(world.settings, NEWER, world.means())
    assert world.done == [f"submit {NEWER.id}"]
    assert live(world) == NEWER.id


def test_the_way_back_is_short(world: World) -> None:
    steps.start(world.settings, NEWER, world.means())
    world.done.clear()
    steps.start(world.settings, OLDER, world.means())
    assert live(world) == OLDER.id
    assert world.done == []


def test_the_others_go_with_all_they_left(world: World) -> None:
    steps.start(world.settings, NEWER, world.means())
    world.build(NEWER)
    at_ms = world.now_ms
    assert steps.finish(world.settings, NEWER, world.means()) == [OLDER.id]
    assert world.now_ms - at_ms >= 1000 * steps.SEEN_S
    assert world.forgotten == [NEWER.id, OLDER.id]
    assert list(world.jobs) == [NEWER.id]
    gone = {t.id for t in OLDER.plan.tile_specs} - {t.id for t in NEWER.plan.tile_specs}
    ((layer, entity, speed), (other, _, batch)) = world.removed
    assert (layer, other, entity) == ("speed", "batch", "user")
    assert set(batch) == gone
    assert set(speed) == {t.id for t in OLDER.plan.speed}
    assert {t.key for t in OLDER.plan.tile_specs if t.id in gone}.isdisjoint(world.filled)
    for spec in OLDER.plan.tile_specs:
        folder = Path(tiles_url(world.settings.lake_url, spec, next_day(DAY)))
        assert folder.exists() == (spec.id not in gone)
    assert steps.finish(world.settings, NEWER, world.means()) == []


def test_nobody_reads_what_is_removed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose code defines it sees first that it is not to be read."""
    steps.start(world.settings, NEWER, world.means())
    at_removal: list[list[str]] = []

    def ready(self: object, entity: str, specs: object) -> None:
        at_removal.append([r.id for r in read_records(world.settings.lake_url, "fraud") if r.live_ms is not None])
        raise Killed

    monkeypatch.setattr("lamina.rollout.steps.Removal.speed", ready)
    with pytest.raises(Killed):
        steps.finish(world.settings, NEWER, world.means())
    assert at_removal == [[NEWER.id]]
    assert {t.key for t in lacking(OLDER.plan, [NEWER.plan])}.isdisjoint(world.filled), "it is not filled any more"
    monkeypatch.undo()


def test_what_is_not_live_removes_nothing(world: World) -> None:
    with pytest.raises(RolloutError, match="are not live: run `lamina features rollout --start` first"):
        steps.finish(world.settings, NEWER, world.means())
    assert (list(world.jobs), world.removed) == ([OLDER.id], [])


def test_nothing_goes_that_the_champion_still_reads(world: World) -> None:
    steps.start(world.settings, NEWER, world.means())
    means = replace(world.means(), misfit=lambda features: f"spent_1h changed in {len(features.views)} views")
    with pytest.raises(
        RolloutError, match=r"champion of 'fraud' .* \(spent_1h changed in 2 views\): train and promote"
    ):
        steps.finish(world.settings, NEWER, means)
    assert len(read_records(world.settings.lake_url, "fraud")) == len(world.jobs) == 2
    assert world.removed == []


def test_nothing_goes_of_another_that_goes_live_while_processes_are_waited_for(world: World) -> None:
    steps.start(world.settings, NEWER, world.means())
    other = Record(Generation(replace(NEW, views=NEW.views[:1])), 5)
    means = replace(world.means(), sleep=lambda s: write_record(world.settings.lake_url, other.went_live(10**9)))
    with pytest.raises(RolloutError, match="are not live"):
        steps.finish(world.settings, NEWER, means)
    assert (live(world), world.removed, len(world.jobs)) == (other.id, [], 2)


def test_what_is_live_says_what_it_lacks(world: World) -> None:
    assert lacks(world.settings, OLDER) == []
    spec = OLDER.plan.tile_specs[0]
    world.filled[spec.key] = Until(END_MS - 1, spec.reach)
    (told,) = lacks(world.settings, OLDER)
    assert f"Redis has not all batch tiles of {DAY} of {spec.key}: run" in told
    world.filled.clear()
    world.jobs[OLDER.id] = (OLDER.job_name, "RESTARTING")
    told, more = lacks(world.settings, OLDER)
    assert f"{OLDER.job_name} is restarting" in told
    assert all(spec.key in more for spec in OLDER.plan.tile_specs)
    world.jobs.clear()
    for spec in OLDER.plan.tile_specs:
        Path(tiles_url(world.settings.lake_url, spec, next_day(DAY))).rmdir()
    told, more = lacks(world.settings, OLDER)
    assert f"{OLDER.job_name} does not run: `lamina up` starts it" in told
    assert "the lake has no batch tiles of it: run the DAG features_daily_fraud" in more


def test_what_was_removed_meanwhile_does_not_go_live(world: World) -> None:
    """By a finish of another version, after the last look at the stream."""
    found = steps.begin(world.settings, NEWER, 5)
    world.on_read = lambda: remove_record(world.settings.lake_url, found)
    with pytest.raises(RolloutError, match="was removed meanwhile"):
        steps.start(world.settings, NEWER, world.means())
    assert live(world) == OLDER.id


def test_the_first_record_is_of_what_is_read(world: World) -> None:
    """On a cluster nobody has recorded anything when features change for the first time."""
    (record,) = read_records(world.settings.lake_url, "fraud")
    remove_record(world.settings.lake_url, record)
    with pytest.raises(RolloutError, match=f"{OLDER.job_name} fills others .* once with the code that is served"):
        steps.start(world.settings, NEWER, world.means())
    assert read_records(world.settings.lake_url, "fraud") == []
    steps.start(world.settings, OLDER, world.means())
    assert live(world) == OLDER.id
    steps.start(world.settings, NEWER, world.means())
    assert live(world) == NEWER.id


def test_a_stream_job_that_fails_again_and_again_is_told(world: World) -> None:
    told: list[str] = []

    def fails() -> None:
        world.jobs[NEWER.id] = (NEWER.job_name, "RESTARTING")

    world.on_read = fails
    steps.start(world.settings, NEWER, replace(world.means(), tell=told.append))
    assert any("the stream job is restarting: see http" in text for text in told)


def test_what_was_begun_and_given_up_goes_as_well(world: World) -> None:
    steps.begin(world.settings, NEWER, 5)
    world.submit(NEWER)
    world.now_ms += 100_000
    assert steps.finish(world.settings, OLDER, world.means()) == [NEWER.id]
    assert list(world.jobs) == [OLDER.id]
    assert [record.id for record in read_records(world.settings.lake_url, "fraud")] == [OLDER.id]


def test_a_job_of_before_generations_goes_as_well(world: World) -> None:
    world.jobs["before"] = ("lamina-stream-fraud", "RUNNING")
    world.jobs["another"] = ("lamina-stream-activity-0a1b2c3d", "RUNNING")
    steps.finish(world.settings, OLDER, world.means())
    assert list(world.jobs) == [OLDER.id, "another"]


def test_what_is_made_when_it_is_read_needs_no_rollout(world: World) -> None:
    other = Generation(replace(OLD, views=tuple(replace(view, owner="us") for view in OLD.views)))
    record = steps.start(world.settings, other, world.means())
    assert (record.live_ms, world.done) == (1, [])
    assert [r.generation for r in read_records(world.settings.lake_url, "fraud")] == [other]


def test_the_status_says_how_far_each_is(world: World) -> None:
    steps.begin(world.settings, NEWER, 5)
    found = status(world.settings, NEWER)
    assert [(g.id, g.state, g.since_ms, g.is_own, g.job) for g in found.generations] == [
        (OLDER.id, "live", 1, False, "RUNNING"),
        (NEWER.id, "filling", 5, True, None),
    ]
    missing = {spec.key for spec in found.specs if spec.layer == "batch" and spec.problem}
    assert missing == {t.key for t in lacking(NEWER.plan, [OLDER.plan])}
    world.note(NEWER.plan.tile_specs)
    assert [spec.key for spec in status(world.settings, NEWER).specs if spec.problem] == []


def test_the_status_of_a_definition_that_nobody_began(world: World) -> None:
    found = status(world.settings, NEWER)
    assert [(g.id, g.state) for g in found.generations] == [(OLDER.id, "live"), (NEWER.id, "not begun")]
    assert {s.problem for s in found.specs if s.generations == (NEWER.id,)} == {
        "not filled, or not far enough back",
        "not begun",
    }
