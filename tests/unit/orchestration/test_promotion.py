import json
from datetime import date
from pathlib import Path

import pytest

from lamina.orchestration.promotion import decision, keep
from lamina.registry.evaluation import Contender, Evaluation, NoEvaluation, write_evaluation
from lamina.registry.memory import MemoryRegistry
from lamina.registry.protocol import MODEL_FOLDER, Kind, TrainingRun

DAY = date(2018, 8, 21)


def evaluated(lake: Path, *, promote: bool, reason: str) -> None:
    measured = Contender(version="2", logical_date=DAY, metrics={"auc": 0.88, "average_precision": 0.65})
    evaluation = Evaluation(
        system="fraud",
        logical_date=DAY,
        rows=100,
        positives=3,
        candidate=measured,
        champion=None,
        promote=promote,
        reasons=(reason,),
    )
    write_evaluation(str(lake), evaluation)


def parity(lake: Path, mismatches: int) -> None:
    report = lake / "parity" / "fraud" / "2018-08-21" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"compared": 100, "mismatches": mismatches}))


@pytest.mark.parametrize(
    ("promote", "mismatches", "deployed", "said"),
    [
        (True, 0, True, "the parity report of 2018-08-21 is clean over 100 decisions"),
        (False, 0, False, "the parity report of 2018-08-21 is clean over 100 decisions"),
        (True, 3, False, "has 3 mismatches"),
        (True, None, True, "0.65 against 0.64"),
    ],
)
def test_only_a_better_model_with_clean_features_goes_live(
    tmp_path: Path, promote: bool, mismatches: int | None, deployed: bool, said: str
) -> None:
    evaluated(tmp_path, promote=promote, reason="0.65 against 0.64")
    if mismatches is not None:
        parity(tmp_path, mismatches)
    found, reasons = decision(str(tmp_path), "fraud", DAY)
    assert found is deployed
    assert reasons.startswith("0.65 against 0.64")
    assert said in reasons


def test_nothing_goes_live_without_an_evaluation(tmp_path: Path) -> None:
    with pytest.raises(NoEvaluation, match=r"python -m models\.fraud\.evaluate --date 2018-08-21"):
        decision(str(tmp_path), "fraud", DAY)


@pytest.mark.parametrize(("challenge", "mismatches"), [(True, 0), (True, 3), (False, 0)])
def test_who_is_kept_out_but_not_surely_worse_becomes_the_challenger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, challenge: bool, mismatches: int
) -> None:
    (tmp_path / "run" / MODEL_FOLDER).mkdir(parents=True)
    registry = MemoryRegistry(tmp_path / "registry")
    for _ in range(2):
        registry.register("fraud", registry.record(TrainingRun("fraud", DAY, tmp_path / "run")), {})
    registry.set_alias("fraud", "champion", "1")
    monkeypatch.setattr("lamina.registry.mlflow.MlflowRegistry", lambda uri: registry)
    serving = Contender(version="1", logical_date=DAY, metrics={})
    tried = Evaluation(
        system="fraud",
        logical_date=DAY,
        rows=100,
        positives=3,
        candidate=serving.model_copy(update={"version": "2"}),
        champion=serving,
        promote=False,
        challenge=challenge,
        reasons=("0.64 against 0.65",),
    )
    write_evaluation(str(tmp_path), tried)
    parity(tmp_path, mismatches)
    reasons = keep(str(tmp_path), "nowhere", "fraud", DAY)
    found = registry.alias("fraud", "challenger")
    expected = challenge and not mismatches
    assert (found.version if found else None) == ("2" if expected else None)
    assert ("version 2 is the challenger now" in reasons) is expected
    champion = registry.alias("fraud", "champion")
    assert champion is not None and champion.version == "1"


def test_a_better_version_of_another_kind_is_tried_under_its_own_alias_and_not_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / MODEL_FOLDER).mkdir(parents=True)
    registry = MemoryRegistry(tmp_path / "registry")
    for _ in range(2):
        registry.register("fraud", registry.record(TrainingRun("fraud", DAY, tmp_path / "run")), {})
    registry.set_alias("fraud", "champion", "1")
    monkeypatch.setattr("lamina.registry.mlflow.MlflowRegistry", lambda uri: registry)
    serving = Contender(version="1", logical_date=DAY, metrics={})
    better = Evaluation(
        system="fraud",
        logical_date=DAY,
        rows=100,
        positives=3,
        candidate=serving.model_copy(update={"version": "2"}),
        champion=serving,
        promote=True,
        reasons=("0.66 against 0.65",),
    )
    write_evaluation(str(tmp_path), better, Kind.BLEND)
    parity(tmp_path, 0)
    assert "version 2 is the blend now" in keep(str(tmp_path), "nowhere", "fraud", DAY, kind=Kind.BLEND)
    assert {v.version: v.aliases for v in registry.versions("fraud")} == {"1": ("champion",), "2": ("blend",)}
    nothing = better.model_copy(update={"candidate": None, "champion": None, "promote": False, "reasons": ("no row",)})
    write_evaluation(str(tmp_path), nothing, Kind.ONLINE)
    assert keep(str(tmp_path), "nowhere", "fraud", DAY, kind=Kind.ONLINE).startswith("no row")


def test_nobody_is_tried_beside_a_champion_it_was_not_measured_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / MODEL_FOLDER).mkdir(parents=True)
    registry = MemoryRegistry(tmp_path / "registry")
    for _ in range(3):
        registry.register("fraud", registry.record(TrainingRun("fraud", DAY, tmp_path / "run")), {})
    registry.set_alias("fraud", "champion", "3")
    monkeypatch.setattr("lamina.registry.mlflow.MlflowRegistry", lambda uri: registry)
    serving = Contender(version="1", logical_date=DAY, metrics={})
    write_evaluation(
        str(tmp_path),
        Evaluation(
            system="fraud",
            logical_date=DAY,
            rows=100,
            positives=3,
            candidate=serving.model_copy(update={"version": "2"}),
            champion=serving,
            promote=False,
            challenge=True,
            reasons=("0.64 against 0.65",),
        ),
    )
    assert "version 3 does now" in keep(str(tmp_path), "nowhere", "fraud", DAY)
    assert registry.alias("fraud", "challenger") is None
