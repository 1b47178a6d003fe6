"""Both inputs of the main job say the same things, and a folder that cannot be used is refused with its name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds

from lamina.clock import day_of
from lamina.demo.stories.fraud import HandbookInput, WorldInput
from lamina.lake import layout


def test_the_variables_of_make_demo_reach_the_job(tmp_path: Path) -> None:
    env = {**os.environ, "DATA": str(tmp_path / "nowhere"), "KEEP": "", "LAMINA_STACK_DIR": str(tmp_path / "stack")}
    run = subprocess.run([sys.executable, "-m", "lamina.demo"], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"no transactions.parquet in {tmp_path / 'nowhere'}: set DATA" in run.stderr


def test_the_world_goes_into_the_lake_up_to_the_live_day(tmp_path: Path) -> None:
    source = WorldInput(users=200, days=32)
    history = source.import_history(str(tmp_path))
    rows = ds.dataset(layout.topic(str(tmp_path), "transactions"), format="parquet").to_table()
    assert rows.num_rows == history.transactions > 0
    assert day_of(max(rows["timestamp"].to_pylist())) < source.live_day
    live = source.live()
    assert {day_of(at) for at in live.transactions["timestamp"].to_pylist()} == {source.live_day}
    assert {day_of(at) for at in live.labels["timestamp"].to_pylist()} <= {source.live_day}
    assert set(live.frauds) <= set(live.transactions["transaction_id"].to_pylist())


def test_the_handbook_leaves_its_last_day_for_the_api(handbook: Path, tmp_path: Path) -> None:
    source = HandbookInput(handbook, tmp_path / "scratch")
    live = source.live()
    assert live.transactions.num_rows > 9_000
    assert {day_of(at) for at in live.transactions["timestamp"].to_pylist()} == {source.live_day}
    assert {day_of(at) for at in live.labels["timestamp"].to_pylist()} == {source.live_day}
    assert 0 < len(live.frauds) < live.transactions.num_rows / 20
