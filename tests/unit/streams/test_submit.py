from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from lamina.errors import StackError
from lamina.settings import load_settings
from lamina.streams.submit import (
    StreamJob,
    last_checkpoint,
    newest_checkpoint,
    reason,
    running_jobs,
    submit_stream_job,
)

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


PRINTED = """\
Job has not been submitted
------------------------------------------------------------
 The program finished with the following exception:

org.apache.flink.client.program.ProgramInvocationException: The main method caused an error: Python process exits
\tat org.apache.flink.client.program.PackagedProgram.callMainMethod(PackagedProgram.java:372)
\t... 11 more
Caused by: java.lang.RuntimeException: Failed to fetch next result
\tat org.apache.flink.client.python.PythonDriver.main(PythonDriver.java:134)
Caused by: java.net.ConnectException: Connection refused
\t... 12 more
Caused by: java.net.ConnectException: Connection refused
"""


def test_the_root_cause_comes_first_and_once() -> None:
    told = reason(PRINTED).splitlines()
    assert told[0] == "java.net.ConnectException: Connection refused"
    assert told[1] == "java.lang.RuntimeException: Failed to fetch next result"
    assert len(told) == 3
    assert not any("PythonDriver" in line or "more" in line for line in told)


def test_the_newest_complete_checkpoint_is_found(tmp_path: Path) -> None:
    assert newest_checkpoint(str(tmp_path)) is None
    for job, number, complete, at in (("a", 9, True, 1), ("a", 10, True, 2), ("a", 11, False, 3), ("b", 2, True, 4)):
        folder = tmp_path / job / f"chk-{number}"
        folder.mkdir(parents=True)
        if complete:
            (folder / "_metadata").touch()
            os.utime(folder / "_metadata", (at, at))
    assert newest_checkpoint(f"file:{tmp_path}/a") == f"file://{tmp_path}/a/chk-10"
    assert newest_checkpoint(f"file://{tmp_path}") == f"file://{tmp_path}/b/chk-2"
    with pytest.raises(StackError, match="does not exist"):
        newest_checkpoint(str(tmp_path / "no"))


class Told(BaseHTTPRequestHandler):
    """Flink's REST interface, whose first answer about checkpoints is an old one."""

    answers: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if self.path == "/jobmanager/config":
            body: object = [{"key": "rest.cache.checkpoint-statistics.timeout", "value": "10 ms"}]
        else:
            body = {"latest": {"completed": {"external_path": self.answers.pop(0)}}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def rest() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Told)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_checkpoint_that_made_way_is_not_named(rest: str, tmp_path: Path) -> None:
    (tmp_path / "chk-8").mkdir()
    (tmp_path / "chk-8" / "_metadata").touch()
    Told.answers = [f"file:{tmp_path}/chk-7"]
    assert last_checkpoint(rest, "j") == f"file://{tmp_path}/chk-8"


def test_where_the_folder_cannot_be_seen_the_cluster_is_asked_again(rest: str) -> None:
    Told.answers = ["file:/no/such/folder/chk-7", "file:/no/such/folder/chk-8"]
    assert last_checkpoint(rest, "j") == "file:/no/such/folder/chk-8"
