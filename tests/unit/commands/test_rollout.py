"""`lamina features rollout`: what is shown, and that one step is taken at a time."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from lamina.cli import app
from lamina.commands.rollout import champion_misfit, next_step
from lamina.errors import RolloutError, StoreUnavailable
from lamina.registry.protocol import ModelVersion
from lamina.rollout.generation import Generation
from lamina.rollout.progress import Read
from lamina.rollout.records import Record
from lamina.rollout.status import GenerationStatus, SpecStatus, State, Status
from lamina.scoring.inputs import inputs_of
from lamina.settings import load_settings
from tests.unit.rollout.sets import NEW, OLD

AT_MS = 1_533_686_400_000


def of(name: str, state: State, *, own: bool = False) -> GenerationStatus:
    return GenerationStatus(name, state, AT_MS, own, "RUNNING", Read(900, 12, 3))


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["features", "rollout", "--system", "fraud", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_it_shows_every_generation_and_tile_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Status(
        [of("0a", "live"), of("1b", "filling", own=True)],
        [
            SpecStatus("user:transactions@1s#0a0a0a", "batch", ("0a", "1b"), AT_MS, None),
            SpecStatus("user:transactions@1s#1b1b1b", "speed", ("1b",), None, "15 to go"),
        ],
    )
    monkeypatch.setattr("lamina.rollout.status.status", lambda settings, own: found)
    lines = [" ".join(line.split()) for line in run().splitlines()]
    assert "fraud 0a live 2018-08-08 00:00:00 running 12 3" in lines
    assert "fraud 1b (this code) filling 2018-08-08 00:00:00 running 12 3" in lines
    assert "user:transactions@1s#0a0a0a batch 0a 1b 2018-08-08 00:00:00 nothing" in lines
    assert "user:transactions@1s#1b1b1b speed 1b - 15 to go" in lines
    assert lines[-1].startswith("next: lamina features rollout --start fills what this code defines")


def test_it_says_what_is_next() -> None:
    assert next_step([of("0a", "live", own=True)]) is None
    assert "--finish" in str(next_step([of("0a", "kept"), of("1b", "live", own=True)]))
    assert "--start" in str(next_step([of("0a", "kept", own=True), of("1b", "live")]))


def test_one_step_at_a_time() -> None:
    with pytest.raises(RolloutError, match="one step at a time"):
        run("--start", "--finish")


def test_the_steps_say_what_they_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lamina.rollout.steps.start", lambda settings, own, means: Record(Generation(own.features), 1, AT_MS)
    )
    monkeypatch.setattr("lamina.rollout.status.lacks", lambda settings, own: [])
    assert run("--start").strip().endswith("is live since 2018-08-08 00:00:00 UTC")
    for gone, told in ((["0a"], "fraud: removed 0a"), ([], "fraud: nothing is kept beside what is live")):
        monkeypatch.setattr("lamina.rollout.steps.finish", lambda settings, own, means, gone=gone: gone)
        assert run("--finish").strip() == told


def test_what_is_live_by_its_record_alone_is_not_said_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lamina.rollout.steps.start", lambda settings, own, means: Record(Generation(own.features), 1, AT_MS)
    )
    monkeypatch.setattr("lamina.rollout.status.lacks", lambda settings, own: ["no job [ever] ran", "no batch tiles"])
    first, *more = run("--start").splitlines()
    assert first.endswith("is live since 2018-08-08 00:00:00 UTC, and not all of it is there:")
    assert more == ["  no job [ever] ran", "  no batch tiles"]

    def nobody(settings: object, own: object) -> list[str]:
        raise StoreUnavailable("Redis does not answer")

    monkeypatch.setattr("lamina.rollout.status.lacks", nobody)
    with pytest.raises(RolloutError, match=r"by its record, and whether .* is not known: Redis does not answer"):
        run("--start")


def test_a_champion_is_asked_what_it_reads(tmp_path: Path) -> None:
    registry, settings = Mock(), load_settings()
    registry.alias.return_value = None
    assert champion_misfit(settings, OLD, registry) is None
    inputs = [each.model_dump(mode="json") for each in inputs_of(OLD, {}, ("spent_1h", "n_1h", "peak_2d"))]
    (tmp_path / "spec.json").write_text(json.dumps({"inputs": inputs}))
    registry.alias.return_value = ModelVersion("fraud", "3", "run", 0, {}, ())
    registry.download.return_value = tmp_path
    assert champion_misfit(settings, OLD, registry) is None
    assert champion_misfit(settings, NEW, registry) == "peak_2d no longer defined; spent_1h, n_1h changed"
