"""Which model answers whom, what of it is logged, and when an arm is turned off."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from lamina.experiments.file import ExperimentError
from lamina.monitoring import metrics
from tests.unit.serving.recognisable import Bench, add_version

CHAMPION, CHALLENGER, BROKEN = 0.01, 0.02, -0.5
USERS = [f"user-{i}" for i in range(300)]
LIVE = """
version: "{version}"
experiment:
  name: trees
  salt: s
  mode: {mode}
  control: old
  arms:
    - {{name: old, model: champion, weight: 70}}
    - {{name: new, model: {model}, weight: 30}}
  guardrails: {{min_decisions: 20, slow_ms: 60000}}
  {more}
"""


def write(bench: Bench, version: str = "2", *, mode: str = "live", model: str = "challenger", more: str = "") -> None:
    before = bench.file.stat().st_mtime_ns
    bench.file.write_text(LIVE.format(version=version, mode=mode, model=model, more=more))
    os.utime(bench.file, ns=(before + 1_000_000, before + 1_000_000))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    add_version(made.registry, CHAMPION, tmp_path, "champion")
    add_version(made.registry, CHALLENGER, tmp_path, "challenger")
    return made


def test_without_an_experiment_the_champion_decides(bench: Bench) -> None:
    async def run() -> None:
        bench.start()
        await bench.refresh()
        decision = await bench.decide("user-1")
        assert (decision.score, decision.model_version) == (CHAMPION, "1")
        assert (decision.experiment, decision.arm, decision.bucket) == (None, None, None)

    asyncio.run(run())
    assert bench.routing.challengers == [] and bench.routing.problems is None


def test_users_stick_to_their_arm_and_exposure_is_logged(bench: Bench) -> None:
    write(bench)
    before = metrics.EXPOSURES.labels("trees@2", "new")._value.get()

    async def run() -> None:
        bench.start()
        await bench.refresh()
        for user in USERS * 2:
            await bench.decide(user)

    asyncio.run(run())
    found = bench.events.decisions
    shares = Counter(d.arm for d in found)
    assert set(shares) == {"old", "new"} and abs(shares["new"] - 180) < 2 * 5 * 8
    assert {(d.arm, d.model_version, d.score) for d in found} == {("old", "1", CHAMPION), ("new", "2", CHALLENGER)}
    assert {d.experiment for d in found} == {"trees@2"}
    assert len({(d.user_id, d.arm, d.bucket) for d in found}) == len(USERS)
    assert {d.arm for d in found if d.bucket is not None and d.bucket >= 7000} == {"new"}
    assert metrics.EXPOSURES.labels("trees@2", "new")._value.get() == before + shares["new"]


def test_those_not_targeted_are_the_champions(bench: Bench) -> None:
    write(bench, more="targeting: [{field: amount, below: 10}]")

    async def run() -> None:
        bench.start()
        await bench.refresh()
        for user in USERS:
            await bench.decide(user, amount=11.0)

    asyncio.run(run())
    assert {(d.experiment, d.arm, d.bucket, d.score) for d in bench.events.decisions} == {(None, None, None, CHAMPION)}


def test_an_arm_by_number_of_version_and_one_without_model(bench: Bench) -> None:
    async def run(model: str) -> set[tuple[str | None, float | None]]:
        write(bench, model=model)
        bench.start()
        await bench.refresh()
        for user in USERS:
            await bench.decide(user)
        return {(d.arm, d.score) for d in bench.events.decisions}

    assert asyncio.run(run('"2"')) == {("old", CHAMPION), ("new", CHALLENGER)}
    assert asyncio.run(run("candidate")) == {("old", CHAMPION)}
    assert "arm new: no version of 'fraud' has the alias candidate" in str(bench.routing.problems)
    assert asyncio.run(run('"9"')) == {("old", CHAMPION)}
    assert "no version 9" in str(bench.routing.problems)


def test_a_batch_uses_one_version(bench: Bench) -> None:
    async def run() -> set[str | None]:
        bench.start()
        await bench.refresh()
        inquiries = [bench.case(user) for user in USERS[:50]]
        deciding = asyncio.create_task(bench.decided_all(inquiries, explain=False))
        await asyncio.sleep(0)
        bench.registry.set_alias("fraud", "champion", "2")
        while not bench.events.kept:
            await asyncio.sleep(0)
        assert len(bench.events.decisions) < 50
        bench.champion._refresh()  # between two transactions of the batch
        found = await deciding
        assert (await bench.decide("user-1")).model_version == "2"
        return {d.model_version for d in found}

    assert asyncio.run(run()) == {"1"}


def test_an_arm_that_fails_is_answered_by_the_control_and_turned_off(bench: Bench, tmp_path: Path) -> None:
    add_version(bench.registry, BROKEN, tmp_path, "challenger")
    write(bench)

    async def run() -> None:
        bench.start()
        await bench.refresh()
        for user in USERS:
            decision = await bench.decide(user)
            assert (decision.score, decision.model_version, decision.fallback) == (CHAMPION, "1", "none")
            assert decision.arm == "old"
            bench.routing.judge()

    failures = metrics.ARM_FAILURES.labels("trees@2", "new")
    offs = metrics.ARMS_OFF.labels("trees@2", "new", "errors")
    before, turned = failures._value.get(), offs._value.get()
    asyncio.run(run())
    assert failures._value.get() == before + 20, "off once there were enough decisions to tell"
    assert offs._value.get() == turned + 1
    assert "arm new is off: 100.0% of 20 scores failed" in str(bench.routing.problems)


def test_scores_far_from_the_controls_turn_an_arm_off_until_the_file_changes(bench: Bench, tmp_path: Path) -> None:
    add_version(bench.registry, 0.3, tmp_path, "challenger")
    write(bench)

    async def run() -> None:
        bench.start()
        await bench.refresh()
        for user in USERS:
            await bench.decide(user)
            bench.routing.judge()
        assert "arm new is off: distributions of scores are 1.00 apart" in str(bench.routing.problems)
        assert len([d for d in bench.events.decisions if d.arm == "new"]) < 100
        bench.events.kept.clear()
        for user in USERS:
            await bench.decide(user)
        assert {d.arm for d in bench.events.decisions} == {"old"}
        write(bench, "3")
        assert bench.routing.reload()
        assert bench.routing.problems is None
        bench.events.kept.clear()
        for user in USERS:
            await bench.decide(user)
        assert {(d.experiment, d.arm) for d in bench.events.decisions} == {("trees@3", "old"), ("trees@3", "new")}

    asyncio.run(run())


def test_a_reload_that_is_wrong_keeps_the_old_experiment(bench: Bench) -> None:
    write(bench)
    bench.start()
    kept = bench.routing.running
    refused = metrics.EXPERIMENT_RELOADS.labels("refused")._value.get()
    write(bench, "3", more="colour: red")
    assert not bench.routing.reload()
    assert "colour" in str(bench.routing.problem)
    write(bench, "2", mode="shadow")
    assert not bench.routing.reload()
    assert "raise `version`" in str(bench.routing.problem)
    assert bench.routing.running is kept and bench.routing.book.version == "2"
    assert metrics.EXPERIMENT_RELOADS.labels("refused")._value.get() == refused + 2
    bench.file.unlink()
    assert not bench.routing.reload() and bench.routing.running is kept
    bench.file.write_text('version: "4"\n')
    assert bench.routing.reload()
    assert bench.routing.running is None and bench.routing.problem is None


def test_a_model_that_stays_is_not_loaded_again(bench: Bench) -> None:
    write(bench)

    async def run() -> None:
        bench.start()
        await bench.refresh()
        before = bench.routing.challengers[0]
        write(bench, "3", mode="shadow")
        assert bench.routing.reload()
        assert bench.routing.challengers == [before]

    asyncio.run(run())


def test_no_file_to_begin_with(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.file.write_text("nonsense")
    with pytest.raises(ExperimentError, match=r"experiment\.yaml"):
        bench.start()


@pytest.mark.parametrize("alone", [True, False])
def test_an_arm_without_a_probability_leaves_the_word_to_the_control(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    write(bench)

    async def run() -> None:
        bench.start()
        await bench.refresh()
        model = bench.routing.challengers[0].current
        assert model is not None
        monkeypatch.setattr(model.scorer, "predict", lambda features: float("nan"), raising=False)
        if alone:
            for user in USERS:
                await bench.decide(user)
        else:
            await asyncio.gather(*(bench.decide(user) for user in USERS))
        bench.routing.judge()

    asyncio.run(run())
    assert {(d.arm, d.score, d.fallback) for d in bench.events.decisions} == {("old", CHAMPION, "none")}
    assert "arm new is off: 100.0%" in str(bench.routing.problems)
