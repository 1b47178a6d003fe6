"""A lake whose answers lie in the columns of fraud's decisions, recorded, led over to envelopes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lamina.contracts.fraud_decisions import Decision, answer_of, read_answer
from lamina.contracts.served import Served
from lamina.errors import ContractError, MigrationBlocked, NotMigrated
from lamina.lake import layout
from lamina.lake.answers import read_answers
from lamina.lake.schemas import SCHEMAS, in_lake, json_columns
from lamina.lake.write import open_lake
from lamina.migrations import envelopes as module
from lamina.migrations.envelopes import envelopes
from lamina.migrations.shadow_scores import ShadowScore, shadow_of
from lamina.migrations.step import Task, migrate
from lamina.migrations.steps import STEPS
from lamina.settings import ROOT, Settings

RECORDED = ROOT / "tests" / "data" / "lakes" / "answers-before-envelopes"
EVENTS = ROOT / "tests" / "data" / "events"
OLD, NEW = "model-predictions", "predictions-fraud"
JSON = json_columns(Decision)
IN_LAKE = [step for step in STEPS if step.name.startswith(("decisions in the lake", "answers of fraud"))]


@pytest.fixture
def lake(tmp_path: Path) -> str:
    shutil.copytree(RECORDED, tmp_path / "lake")
    return str(tmp_path / "lake")


def tasks(lake: str) -> list[Task]:
    return envelopes(lake, (OLD, NEW), read_answer, JSON)


def led_over(lake: str) -> int:
    """Do what is pending; how many tasks there were."""
    found = tasks(lake)
    for task in found:
        task.apply()
    return len(found)


def contents(lake: str) -> dict[str, bytes]:
    fs, path = open_lake(lake)
    return {str(file).removeprefix(f"{path}/"): fs.cat_file(file) for file in fs.find(path)}


def decisions(lake: str) -> dict[str, dict[str, Any]]:
    """By id of the request, with the place in Kafka, in the columns of the version before."""
    found = ds.dataset(lake, format="parquet", exclude_invalid_files=True).to_table().to_pylist()
    return {row["request_id"]: {k: orjson.loads(v) if k in JSON and v else v for k, v in row.items()} for row in found}


def served(lake: str) -> dict[str, tuple[Served, dict[str, Any]]]:
    rows = ds.dataset(lake, format="parquet", exclude_invalid_files=True).to_table().to_pylist()
    found = {}
    for row in rows:
        place = {name: row.pop(name) for name in ("partition", "offset")}
        own = {k: orjson.loads(v) if k in json_columns(Served) else v for k, v in row.items()}
        found[row["request_id"]] = Served.model_validate(own), place
    return found


@pytest.mark.parametrize("folder", ["events", "quarantine"])
def test_every_answer_is_the_decision_that_it_was_in_its_place_in_kafka(lake: str, folder: str) -> None:
    before: dict[str, dict[str, Any]] = {}
    for file in (Path(lake) / folder).rglob("part-*.parquet"):
        before |= decisions(str(file))
    led_over(lake)
    after = served(f"{lake}/{folder}")
    assert after.keys() == before.keys() and before
    for request_id, (envelope, place) in after.items():
        answer = answer_of(envelope).model_dump()
        known = {name: value for name, value in before[request_id].items() if value is not None}
        assert {name: (answer | place)[name] for name in known} == known


def test_columns_are_those_that_the_archive_writes(lake: str) -> None:
    led_over(lake)
    files = list(Path(lake).rglob("*.parquet"))
    assert len(files) == 5
    for file in files:
        assert pq.read_schema(file).equals(in_lake(SCHEMAS[NEW])), file


def test_all_steps_together_leave_one_log_that_readers_take(lake: str) -> None:
    settings = Settings(lake_url=lake)
    with pytest.raises(NotMigrated, match="run `lamina migrate`"):
        read_answers(lake, "fraud", ["request_id"])
    done = [task.what for _, task in migrate(IN_LAKE, settings)]
    assert [what.split(" ")[0] for what in done] == ["move", *["write"] * 5]
    found = read_answers(lake, "fraud", ["request_id", "event_id", "action"])
    assert sorted(found.column("event_id").to_pylist()) == [f"t-{i}" for i in range(1, 7)]
    assert [task for step in IN_LAKE for task in step.pending(settings)] == []


def test_a_look_names_what_lies_under_either_name_and_changes_nothing(lake: str) -> None:
    before = contents(lake)
    told = [task.what for task in tasks(lake)]
    assert [what.split(" files of ")[0] for what in told] == ["write 1"] * 5
    assert f"{lake}/events/{OLD}/ingested=2018-08-15 anew, as envelopes" in told[0]
    assert contents(lake) == before


def test_a_second_run_finds_nothing_to_do(lake: str) -> None:
    assert led_over(lake) == 5
    after = contents(lake)
    assert led_over(lake) == 0
    assert contents(lake) == after


def test_a_run_that_was_ended_is_gone_on_with(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = f"{lake}-whole"
    shutil.copytree(lake, whole)
    led_over(whole)
    first, second, *_ = tasks(lake)
    first.apply()
    with monkeypatch.context() as patched:
        patched.setattr(module, "move", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            second.apply()
    old = decisions(f"{lake}/events/{OLD}/ingested=2018-08-16/origin=kafka/part-00000.parquet")
    assert set(old) == {"r-3", "r-4"}, "half a file has taken nobody's place"
    assert ds.dataset(f"{lake}/events/{OLD}", format="parquet", exclude_invalid_files=True).count_rows() == 4
    assert led_over(lake) == 4
    assert {name: len(content) for name, content in contents(lake).items()} == {
        name: len(content) for name, content in contents(whole).items()
    }


def test_a_row_that_is_no_answer_is_named_and_left(lake: str) -> None:
    file = Path(layout.topic(lake, NEW)) / "ingested=2018-08-17" / layout.ORIGIN / "part-00000.parquet"
    table = pq.read_table(file)
    at = table.column_names.index("action")
    broken = table.set_column(at, table.field(at), pa.array(["call the police", "approve"]))
    pq.write_table(broken, file)
    before = file.read_bytes()
    with pytest.raises(MigrationBlocked, match=r"part-00000\.parquet holds a row that is no answer \(.*lamina migrate"):
        led_over(lake)
    assert file.read_bytes() == before


def test_a_lake_on_an_object_store_is_led_over_too(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/lake"
    fs, path = open_lake(url)
    for file in RECORDED.rglob("*"):
        if file.is_file():
            fs.pipe_file(f"{path}/{file.relative_to(RECORDED).as_posix()}", file.read_bytes())
    assert led_over(url) == 5
    assert led_over(url) == 0
    assert len(contents(url)) == 10


def test_a_lake_without_answers_needs_nothing(tmp_path: Path) -> None:
    assert led_over(str(tmp_path / "lake")) == 0
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("score", [0.25, None])
def test_a_shadow_score_becomes_a_shadow(score: float | None) -> None:
    raw = (EVENTS / "shadow_score-v1.json").read_bytes().strip()
    old = ShadowScore.from_json(raw).model_copy(update={"score": score})
    found = shadow_of(old.to_json())
    assert found.shadow and found == Served.from_json(found.to_json()) == read_answer(found.to_json())
    assert (found.request_id, found.event_id, found.key) == (old.request_id, old.transaction_id, old.user_id)
    assert found.outputs == ({} if score is None else {"score": score})
    assert (found.fallback == "none") == (score is not None)
    assert (found.experiment, found.arm, found.bucket) == (old.experiment, old.arm, old.bucket)
    assert found.models["model"].version == old.model_version and found.served_at == old.scored_at


def test_what_is_no_shadow_score_is_none() -> None:
    with pytest.raises(ContractError, match="ShadowScore"):
        shadow_of(b"{}")
