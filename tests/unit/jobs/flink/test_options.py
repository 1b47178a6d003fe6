from __future__ import annotations

import pytest

from jobs.flink.options import StreamOptions, configuration
from lamina.store.protocol import SPEED_TTL_S


def options(**more: object) -> StreamOptions:
    return StreamOptions(**{"system": "fraud", "bootstrap": "b:1", **more})  # type: ignore[arg-type]


def test_state_lives_as_long_as_tiles_in_the_store() -> None:
    assert configuration(options())["table.exec.state.ttl"] == f"{SPEED_TTL_S}s"


def test_checkpoints_are_exactly_once_and_outlive_the_job() -> None:
    found = configuration(options(checkpoint_interval_ms=3000, checkpoint_dir="file:///c"))
    assert found["execution.checkpointing.interval"] == "3000ms"
    assert found["execution.checkpointing.mode"] == "EXACTLY_ONCE"
    assert found["execution.checkpointing.externalized-checkpoint-retention"] == "RETAIN_ON_CANCELLATION"
    assert found["execution.checkpointing.dir"] == "file:///c"


def test_the_clusters_own_checkpoint_folder_is_the_default() -> None:
    assert "execution.checkpointing.dir" not in configuration(options())


@pytest.mark.parametrize("jar", ["/lib/kafka.jar", "file:///lib/kafka.jar"])
def test_the_connector_is_a_url(jar: str) -> None:
    assert configuration(options(connector_jar=jar))["pipeline.jars"] == "file:///lib/kafka.jar"


def test_mini_batches_are_a_choice() -> None:
    assert "table.exec.mini-batch.enabled" not in configuration(options())
    assert configuration(options(mini_batch_ms=20))["table.exec.mini-batch.allow-latency"] == "20ms"


def test_names_follow_the_system_and_the_prefix() -> None:
    assert options().job_name == "lamina-stream-fraud"
    assert options(topic_prefix="t1-").group == "t1-lamina-stream-fraud"
    assert options(topic_prefix="t1-", group_id="mine").group == "mine"
