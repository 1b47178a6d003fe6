from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lamina.lake import layout
from lamina.registry.comparison import Comparison
from lamina.registry.deploy import Deployment, challenge, deploy, main, promote, rollback
from lamina.registry.evaluation import Contender, Evaluation, write_evaluation
from lamina.registry.gate import Enough, Parity
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import (
    CHALLENGER,
    CHAMPION,
    MODEL_FOLDER,
    PREVIOUS,
    Kind,
    ModelVersion,
    RegistryError,
    TrainingRun,
)
from lamina.registry.searches import TrialRun

DAY = date(2018, 8, 21)
CLEAN = Parity(date(2018, 8, 20), compared=100, mismatches=0)


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    """Two versions, the first of them serving."""
    (tmp_path / "run" / MODEL_FOLDER).mkdir(parents=True)
    made = MemoryRegistry(tmp_path / "registry")
    for _ in range(2):
        made.register("fraud", made.record(TrainingRun("fraud", DAY, tmp_path / "run")), {})
    made.set_alias("fraud", CHAMPION, "1")
    return made


def evaluation(*, promote: bool) -> Evaluation:
    return Evaluation(
        system="fraud",
        logical_date=DAY,
        rows=10,
        positives=1,
        candidate=Contender(version="2", logical_date=DAY, metrics={}),
        champion=Contender(version="1", logical_date=DAY, metrics={}),
        promote=promote,
        reasons=("measured",),
    )


def test_a_better_model_is_promoted(registry: MemoryRegistry) -> None:
    assert deploy(registry, evaluation(promote=True), CLEAN) == Deployment(
        system="fraud",
        decision="promoted",
        champion="2",
        previous="1",
        challenger=None,
        reasons=("measured", "the parity report of 2018-08-20 is clean over 100 decisions"),
    )


def test_promoting_twice_changes_nothing(registry: MemoryRegistry) -> None:
    first, second = (deploy(registry, evaluation(promote=True), CLEAN) for _ in range(2))
    assert first == second


def test_one_that_is_not_better_leaves_the_champion(registry: MemoryRegistry) -> None:
    decided = deploy(registry, evaluation(promote=False), CLEAN)
    assert (decided.decision, decided.champion, decided.previous) == ("kept", "1", None)
    assert decided.reasons[0] == "measured"


def test_features_served_otherwise_than_computed_stop_the_promotion(registry: MemoryRegistry) -> None:
    decided = deploy(registry, evaluation(promote=True), Parity(DAY, compared=100, mismatches=3))
    assert (decided.decision, decided.champion) == ("kept", "1")
    assert "2018-08-21, has 3 mismatches" in decided.reasons[-1]


def test_a_deployment_can_be_rolled_back(registry: MemoryRegistry) -> None:
    deploy(registry, evaluation(promote=True), CLEAN)
    assert rollback(registry, "fraud") == "1"
    champion = registry.alias("fraud", CHAMPION)
    assert champion is not None
    assert champion.version == "1"


@pytest.mark.parametrize("better", [True, False])
def test_a_version_that_was_rolled_back_does_not_return_by_itself(registry: MemoryRegistry, better: bool) -> None:
    """Its day's deployment may run again: the champion is then the one that it was evaluated against."""
    deploy(registry, evaluation(promote=True), CLEAN)
    rollback(registry, "fraud")
    again = deploy(registry, not_worse(promote=better), CLEAN)
    assert (again.decision, again.champion, again.previous, again.challenger) == ("kept", "1", "2", None)
    assert again.reasons[-1].endswith("promote it by hand (lamina models promote fraud 2)")
    promote(registry, "fraud", "2")
    assert deploy(registry, evaluation(promote=True), CLEAN).champion == "2"


def not_worse(*, promote: bool = False) -> Evaluation:
    serving = Contender(version="1", logical_date=DAY, metrics={})
    return evaluation(promote=promote).model_copy(update={"challenge": not promote, "champion": serving})


@pytest.mark.parametrize(
    ("better", "parity", "challenger"),
    [
        (False, CLEAN, "2"),
        (False, None, "2"),
        (True, None, "2"),  # better, but nobody compared what is served: it may be tried
        (False, Parity(DAY, compared=100, mismatches=3), None),
        (True, Parity(DAY, compared=100, mismatches=3), None),
        (True, CLEAN, None),
    ],
)
def test_who_stays_behind_may_be_tried(
    registry: MemoryRegistry, better: bool, parity: Parity | None, challenger: str | None
) -> None:
    decided = deploy(registry, not_worse(promote=better), parity)
    assert decided.challenger == challenger
    assert decided.champion == ("2" if better and parity == CLEAN else "1")


def test_one_that_is_surely_worse_is_not_tried(registry: MemoryRegistry) -> None:
    worse = not_worse().model_copy(update={"challenge": False})
    assert deploy(registry, worse, CLEAN).challenger is None


def test_a_challenger_that_wins_is_one_no_more(registry: MemoryRegistry) -> None:
    challenge(registry, "fraud", "2")
    found = registry.alias("fraud", CHALLENGER)
    assert found is not None and found.version == "2"
    promote(registry, "fraud", "2")
    assert registry.alias("fraud", CHALLENGER) is None
    with pytest.raises(RegistryError, match="cannot challenge itself"):
        challenge(registry, "fraud", "2")


def test_each_kind_has_a_challenger_of_its_own(registry: MemoryRegistry, tmp_path: Path) -> None:
    registry.register("fraud", registry.record(TrainingRun("fraud", DAY, tmp_path / "run")), {})
    challenge(registry, "fraud", "2")
    of_blend = not_worse().model_copy(update={"candidate": Contender(version="3", logical_date=DAY, metrics={})})
    assert deploy(registry, of_blend, CLEAN, kind=Kind.BLEND).challenger == "3"
    assert {v.version: v.aliases for v in registry.versions("fraud")} == {
        "1": ("champion",),
        "2": ("challenger",),
        "3": ("blend",),
    }
    promote(registry, "fraud", "3")
    assert registry.alias("fraud", "blend") is None


class TestTheChampionMoved:
    """An evaluation is about the champion of its time: since it moved, it says nothing."""

    def test_by_hand_meanwhile(self, registry: MemoryRegistry, tmp_path: Path) -> None:
        registry.register("fraud", registry.record(TrainingRun("fraud", DAY, tmp_path / "run")), {})
        promote(registry, "fraud", "3")
        decided = deploy(registry, evaluation(promote=True), CLEAN)
        assert (decided.decision, decided.champion, decided.challenger) == ("kept", "3", None)
        assert (
            "version 1 served when the version of 2018-08-21 was evaluated, and version 3 does now"
            in (decided.reasons[-1])
        )

    def test_an_old_day_does_not_move_it_back(self, registry: MemoryRegistry) -> None:
        """The very first version was evaluated against nobody; run again, its deployment must not bring it back."""
        promote(registry, "fraud", "2")
        first = evaluation(promote=True).model_copy(
            update={
                "candidate": Contender(version="1", logical_date=DAY, metrics={}),
                "champion": None,
                "against": None,
            }
        )
        decided = deploy(registry, first, CLEAN)
        assert (decided.decision, decided.champion) == ("kept", "2")
        assert "nothing served when" in decided.reasons[-1] and "models.fraud.evaluate" in decided.reasons[-1]

    def test_no_challenger_either(self, registry: MemoryRegistry, tmp_path: Path) -> None:
        registry.register("fraud", registry.record(TrainingRun("fraud", DAY, tmp_path / "run")), {})
        promote(registry, "fraud", "3")
        assert deploy(registry, not_worse(), CLEAN).challenger is None

    def test_its_champion_was_deleted(self, registry: MemoryRegistry) -> None:
        registry.drop_alias("fraud", CHAMPION)
        decided = deploy(registry, evaluation(promote=True), CLEAN)
        assert (decided.decision, decided.champion) == ("kept", None)
        assert "nothing does now" in decided.reasons[-1]


def test_an_evaluation_of_before_knows_its_champion() -> None:
    """Files written before `against` was: whoever was measured served."""
    document = evaluation(promote=True).model_dump(mode="json", exclude={"against"})
    assert Evaluation.model_validate_json(json.dumps(document)).against == "1"
    assert Evaluation.model_validate_json(json.dumps({**document, "champion": None})).against is None
    assert evaluation(promote=True).against == "1"


def test_the_command_says_what_it_decided_in_one_line(
    registry: MemoryRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamina.registry.mlflow.MlflowRegistry", lambda uri: registry)
    lake = str(tmp_path / "lake")
    write_evaluation(lake, evaluation(promote=True))
    report = Path(layout.parity(lake, "fraud", DAY)) / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"compared": 100, "mismatches": 0}))
    command = typer.Typer()
    command.command()(main)
    done = CliRunner().invoke(command, ["--system", "fraud", "--date", str(DAY), "--lake-url", lake])
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("}\n") and done.stdout.count("\n") == 1
    said = json.loads(done.stdout)
    assert (said["system"], said["decision"], said["champion"], said["previous"]) == ("fraud", "promoted", "2", "1")


@pytest.mark.parametrize(
    "record",
    [
        Deployment("fraud", "kept", None, None, None, ()),
        CLEAN,
        Enough(),
        Comparison((), ()),
        TrainingRun("fraud", DAY, Path("x")),
        ModelVersion("fraud", "1", "r", 1, {}, ()),
        TrialRun(1, "complete", 1, 2),
    ],
)
def test_what_was_said_once_is_not_changed(record: object) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(record, next(iter(vars(record))), "x")


def test_nothing_serves_after_a_first_version_stayed_behind(tmp_path: Path) -> None:
    first = evaluation(promote=False).model_copy(update={"champion": None, "against": None, "candidate": None})
    decided = deploy(MemoryRegistry(tmp_path / "none"), first, None)
    assert decided == Deployment("fraud", "kept", None, None, None, ("measured",))


def test_a_rollback_needs_no_champion_and_no_champion_of_the_same_version(registry: MemoryRegistry) -> None:
    with pytest.raises(RegistryError, match="no version under the alias"):
        rollback(registry, "fraud")
    registry.set_alias("fraud", PREVIOUS, "1")
    with pytest.raises(RegistryError, match="no version under the alias"):
        rollback(registry, "fraud")
    registry.drop_alias("fraud", CHAMPION)
    assert rollback(registry, "fraud") == "1"
    assert registry.alias("fraud", PREVIOUS) is None


@pytest.mark.parametrize("promoted", ["1", "3"])
def test_a_challenger_stays_one_when_another_wins(registry: MemoryRegistry, tmp_path: Path, promoted: str) -> None:
    registry.register("fraud", registry.record(TrainingRun("fraud", DAY, tmp_path / "run")), {})
    registry.drop_alias("fraud", CHAMPION)
    challenge(registry, "fraud", "2")
    promote(registry, "fraud", promoted)
    found = registry.alias("fraud", CHALLENGER)
    assert found is not None and found.version == "2"


def test_versions_of_two_digits_are_told_by_their_text(registry: MemoryRegistry, tmp_path: Path) -> None:
    run_id = registry.record(TrainingRun("fraud", DAY, tmp_path / "run"))
    for _ in range(10):
        registry.register("fraud", run_id, {})
    promote(registry, "fraud", "11")
    found = evaluation(promote=True).model_copy(
        update={"against": f"{11}", "candidate": Contender(version=f"{12}", logical_date=DAY, metrics={})}
    )
    for _ in range(2):
        decided = deploy(registry, found, CLEAN)
        assert (decided.decision, decided.champion, decided.previous) == ("promoted", "12", "11")


@pytest.mark.parametrize("url", ["/", "s3://", "file:///"])
def test_the_command_reads_no_lake_that_is_none(url: str) -> None:
    app = typer.Typer()
    app.command()(main)
    done = CliRunner().invoke(app, ["--system", "fraud", "--date", "2018-08-08", "--lake-url", url])
    assert done.exit_code == 1 and "LAMINA_LAKE_URL" in str(done.exception)
