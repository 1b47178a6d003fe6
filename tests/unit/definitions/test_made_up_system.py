"""A system is added by its record alone: topics, contracts, columns, suites, streams and DAGs are made of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lamina import definitions
from lamina.settings import ROOT

PARKING = '''
"""A made-up system: cars that park, and whether they were fined."""

from lamina.contracts.aggregates import count, mean
from lamina.contracts.base import EpochMs, Event, Identifier, Number, Truth
from lamina.contracts.expectations import LATENESS, Suite, in_time, present, some_rows
from lamina.contracts.features import Entity, EventSource, FeatureSet, FeatureView, RequestFeature, days, hours, seconds
from lamina.contracts.labels import ReportedLabel
from lamina.contracts.served import served_topic
from lamina.contracts.systems import System
from lamina.contracts.topics import EventTopic, Topic


class Stay(Event):
    """A car in a car park."""

    stay_id: Identifier
    car_id: Identifier
    fee: Number
    timestamp: EpochMs


class Fine(Event):
    """What was learnt of a stay."""

    stay_id: Identifier
    car_id: Identifier
    is_fined: Truth
    timestamp: EpochMs


STAYS = EventTopic(
    topic=Topic("stays", partitions=2),
    contract=Stay,
    suite=Suite("stays", LATENESS, (some_rows(), *present("stay_id", "car_id"), *in_time())),
)
FINES = EventTopic(topic=Topic("fines"), contract=Fine, suite=Suite("fines", LATENESS, (some_rows(), *in_time())))
GUESSES = served_topic("parking")

CAR = Entity("car", "car_id")
STAY_SOURCE = EventSource(
    name="stays",
    topic=STAYS.name,
    id="stay_id",
    timestamp="timestamp",
    columns={"stay_id": "string", "car_id": "string", "fee": "double", "timestamp": "long"},
)
FINE_SOURCE = EventSource(
    name="fines",
    topic=FINES.name,
    id="stay_id",
    timestamp="timestamp",
    columns={"stay_id": "string", "car_id": "string", "is_fined": "boolean", "timestamp": "long"},
)
CAR_STAYS = FeatureView(
    name="car_stays",
    entity=CAR,
    source=STAY_SOURCE,
    owner="parking",
    aggregates=(count("stays"), mean("fee", "avg_fee")),
    windows=(hours(1), days(7)),
    resolution=seconds(1),
)
FEATURES = FeatureSet(
    system="parking",
    request=STAY_SOURCE,
    views=(CAR_STAYS,),
    request_features=(RequestFeature("fee", "field", "fee"),),
    model_features=("fee", "stays_1h", "avg_fee_7d"),
)
LABEL = ReportedLabel(source=FINE_SOURCE, column="is_fined", delay=days(3))
SYSTEM = System(features=FEATURES, topics=(STAYS, FINES), label=LABEL, served=GUESSES, min_auc=0.7)
'''


SERVED = '''
"""Stays in a car park are answered: how likely a fine is."""

from dataclasses import replace
from pathlib import Path

from fastapi import APIRouter, Request, Response

from lamina.contracts.served import Served
from lamina.definitions.parking import SYSTEM, Stay
from lamina.scoring.load import load
from serving.answering import Direct
from serving.stages.case import Case, OutputsAlone
from serving.stages.kind import RequestKind


def build(platform):
    made = platform.answering(
        RequestKind(SYSTEM, Stay), OutputsAlone, load, experiment_file=Path(__file__).with_name("experiment.yaml")
    )
    router = APIRouter(prefix="/parking", tags=["parking"])

    @router.post("/stays", response_model=Served)
    async def stay(request: Request, stay: Stay) -> Response:
        platform.checks.take([stay])
        served = await made.pipeline.answer(Case(stay, request.state.request_id, request.state.started_ns))
        return Response(served.to_json(), media_type="application/json")

    return replace(made, routers=(router,), direct=(Direct("/parking/stays", Served.to_json),))
'''


def run(folder: Path, *file: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.unit.definitions.made_up", str(folder), *map(str, file)]
    home = folder / "airflow"
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LAMINA_", "AIRFLOW"))}
    env |= {"AIRFLOW_HOME": str(home), "LAMINA_STACK_DIR": str(home / "stack")}
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("systems")
    (made / "parking.py").write_text(PARKING)
    return made


@pytest.fixture(scope="module")
def registries(folder: Path) -> dict[str, Any]:
    done = run(folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_in_every_registry(registries: dict[str, Any]) -> None:
    assert registries["systems"] == sorted({*definitions.system_names(), "parking"})
    assert {"activity", "fraud", "parking"} <= set(registries["systems"])
    assert {"stays", "fines"} <= set(registries["topics"])
    assert registries["created"] == registries["topics"]
    assert registries["contracts"]["stays"] == "Stay"
    assert registries["schemas"]["fines"] == ["stay_id", "car_id", "is_fined", "timestamp"]
    assert set(registries["suites"]) == set(registries["schemas"])
    assert registries["archived"]["parking"] == ["fines", "predictions-parking", "stays"]
    having = {system.name for system in definitions.records() if system.has_model}
    assert registries["models"] == sorted(having | {"parking"}) and "fraud" in having
    assert registries["usual"] is None, "of several, none is meant unless it is named"
    assert registries["delays"]["parking"] == 3


def test_its_stream_reads_its_topic_by_its_contract(registries: dict[str, Any]) -> None:
    assert "'topic' = 'stays'" in registries["streams"]["parking"]
    assert "`fee`" in registries["streams"]["parking"]


def test_the_others_are_as_they_were(registries: dict[str, Any]) -> None:
    assert not registries["frozen"]["fraud"] and not registries["frozen"]["activity"]
    assert set(registries["archived"]["fraud"]) == {"transactions", "fraud-labels", "predictions-fraud"}


def test_its_meanings_are_recorded_in_a_file_of_its_own(registries: dict[str, Any], folder: Path) -> None:
    assert "stays_1h" in registries["frozen"]["parking"]
    assert "stays_1h" in json.loads((folder / "parking.json").read_text())
    assert not (Path(definitions.__path__[0]) / "parking.json").exists()


def test_it_has_its_dags(folder: Path) -> None:
    done = run(folder, ROOT / "tests" / "unit" / "dags" / "probe.py", ROOT / "dags")
    assert done.returncode == 0, done.stderr
    dags = json.loads(done.stdout.splitlines()[-1])["scheduled"]["dags"]
    assert {"features_daily_parking", "ml_model_training_parking"} <= set(dags)
    assert dags["ml_model_training_parking"]["params"]["delay_days"] == 3
    assert dags["ml_model_training_fraud"]["params"]["delay_days"] == 7
    least = {name: dags[f"ml_model_training_{name}"]["params"]["min_auc"] for name in ("parking", "fraud")}
    assert least == {"parking": 0.7, "fraud": 0.8}
    archived = dags["archive_daily"]["tasks"]["archive"]["arguments"]
    assert {"stays", "fines", "predictions-parking"} <= set(archived)
    assert {f"quality_gate.{topic}" for topic in ("stays", "fines")} <= set(dags["archive_daily"]["tasks"])
    waits = dags["features_daily_parking"]["tasks"]["wait_for_events"]["inlets"]
    assert set(waits) == {"lamina://topics/stays", "lamina://topics/fines"}


@pytest.mark.parametrize("query", ["", "?framework=its-own-way"])
def test_it_is_served(folder: Path, tmp_path: Path, query: str) -> None:
    """By a folder with a `build.py` and the file of its experiment, and nothing else."""
    home = folder / "serving" / "parking"
    home.mkdir(parents=True, exist_ok=True)
    (home / "__init__.py").touch()
    (home / "build.py").write_text(SERVED)
    (home / "experiment.yaml").write_text('version: "1"\n')
    body = json.dumps({"stay_id": "s-1", "car_id": "c-1", "fee": 2.5, "timestamp": 1_533_686_431_000})
    asked = ROOT / "tests" / "unit" / "serving" / "systems" / "asked.py"
    done = run(folder, asked, tmp_path, f"/parking/stays{query}", body)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "/parking/stays" in found["paths"] and "parking" in found["sections"]
    answer = found["answer"]
    assert (found["status"], answer["subjects"], answer["fallback"]) == (200, {"car": "c-1"}, "no_model")
    assert answer["features"]["stays_1h"] == 0 and answer["unknown"] == ["car"]
    assert found["published"] == ["stays", "predictions-parking"]


def test_where_several_have_a_model_a_command_asks_which_and_says_what_there_is(folder: Path) -> None:
    done = run(folder, ROOT / "jobs" / "spark" / "batch_features.py", "--date", "2018-08-14")
    assert done.returncode == 2
    assert "--system" in done.stderr
    having = {system.name for system in definitions.records() if system.has_model}
    assert {"activity", "fraud"} <= having and all(system in done.stderr for system in having | {"parking"})
    done = run(folder, ROOT / "jobs" / "spark" / "batch_features.py", "--date", "2018-08-14", "--system", "frod")
    assert done.returncode == 1
    names = ", ".join(sorted({*definitions.system_names(), "parking"}))
    assert f"no system 'frod'; there are {names}" in done.stderr
    named = run(folder, ROOT / "jobs" / "spark" / "batch_features.py", "--date", "9999-12-31", "--system", "parking")
    assert (named.returncode, "is not over" in named.stderr) == (1, True), named.stderr


@pytest.mark.parametrize(
    ("text", "instead", "told"),
    [
        ('Topic("fines")', 'Topic("feature-tiles")', "topic 'feature-tiles' has the suite of 'fines'"),
        ("topics=(STAYS, FINES)", "topics=(STAYS,)", "no record describes topics ['fines']"),
        (", served=GUESSES", "", "describe topic 'predictions-parking' by served"),
        ('served_topic("parking")', 'served_topic("garage")', "what it serves is on 'predictions-garage'"),
        (
            'served_topic("parking")',
            'EventTopic(topic=Topic(P := "predictions-parking"), contract=Fine, suite=Suite(P, LATENESS, ()))',
            "topic 'predictions-parking' is of Fine: what is served is logged as Served, by served_topic",
        ),
        (", delay=days(3)", "", "argument: 'delay'"),
        (", label=LABEL", "", "model_features need a label to learn from"),
        ('column="is_fined"', 'column="fined"', "label 'fined': 'fined' is no column of source 'fines'"),
        ("min_auc=0.7", "min_auc=70", "min_auc 70: an AUC is between 0 and 1"),
        ("parking", "parks", "module 'parking' holds the system 'parks'"),
        ('("fines"', '("transactions"', "topic 'transactions' is described elsewhere in another way"),
        ('("fines"', '("dead-letters"', "topic 'dead-letters' is described elsewhere in another way"),
    ],
)
def test_a_record_that_cannot_be_right_is_refused(tmp_path: Path, text: str, instead: str, told: str) -> None:
    (tmp_path / "parking.py").write_text(PARKING.replace(text, instead))
    done = run(tmp_path)
    assert done.returncode
    assert told in done.stderr
