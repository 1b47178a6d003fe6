from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import StackError
from lamina.settings import load_settings
from lamina.streams.submit import StreamJob, running_jobs, submit_stream_job

JOB = StreamJob(
    system="fraud",
    flink=Path("/f/flink"),
    python=Path("/f/python"),
    code=Path("dist/code.zip"),
    connector=Path("/f/kafka.jar"),
    arguments=("--parallelism", "2"),
)


def test_the_command_is_one_that_a_person_could_type() -> None:
    settings = load_settings(flink_url="http://f:8081", kafka_bootstrap="k:9092", topic_prefix="p-")
    command = " ".join(JOB.command(settings))
    assert command.startswith("/f/flink run --detached --jobmanager f:8081 ")
    assert "--pyFiles dist/code.zip --pyModule jobs.flink.stream_features --system fraud --bootstrap k:9092 " in command
    assert command.endswith("--topic-prefix p- --parallelism 2")
    assert "--fromSavepoint" not in command


def test_a_failed_command_is_told_without_its_stack(tmp_path: Path) -> None:
    failing = tmp_path / "flink"
    failing.write_text("#!/bin/sh\necho 'the reason'\necho '\tat some.java.Frame(X.java:1)'\nexit 3\n")
    failing.chmod(0o755)
    job = StreamJob(system="fraud", flink=failing, python=failing, code=failing, connector=failing)
    with pytest.raises(StackError, match="the reason") as raised:
        submit_stream_job(load_settings(), job)
    assert "exit 3" in str(raised.value)
    assert "some.java" not in str(raised.value)


def test_a_cluster_that_does_not_answer_is_named() -> None:
    with pytest.raises(StackError, match="LAMINA_FLINK_URL"):
        running_jobs("http://127.0.0.1:1")
