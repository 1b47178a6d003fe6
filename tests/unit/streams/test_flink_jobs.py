"""Jobs on a Flink whose REST interface is a table of answers."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from lamina import proxies
from lamina.errors import StackError
from lamina.settings import load_settings
from lamina.streams import submit
from lamina.streams.submit import (
    StreamJob,
    cancel,
    last_checkpoint,
    newest_checkpoint,
    reason,
    running_jobs,
    submit_stream_job,
    wait_for,
)
from tests.unit.streams.fake_kafka import Time

URL = "http://f:8081"
ID = "0123456789abcdef" * 2
RUNNING = {"state": "RUNNING", "vertices": [{"status": "RUNNING"}, {"status": "RUNNING"}]}
STARTING = {"state": "RUNNING", "vertices": [{"status": "RUNNING"}, {"status": "SCHEDULED"}]}


class Flink:
    """`answers`: by method and path, one after the other, the last again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[str] = []
        self.time = Time()

    def __call__(self, request: urllib.request.Request, timeout_s: float) -> bytes:
        assert timeout_s == 20
        asked = f"{request.get_method()} {request.full_url.removeprefix(URL)}"
        self.asked.append(asked)
        answers = self.answers[asked]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return b"" if answer is None else json.dumps(answer).encode()


@pytest.fixture
def flink(monkeypatch: pytest.MonkeyPatch) -> Flink:
    made = Flink()
    monkeypatch.setattr(proxies, "open_url", made)
    monkeypatch.setattr(submit, "time", made.time)
    return made


def job(folder: Path, script: str, **more: Any) -> StreamJob:
    command = folder / "flink"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return StreamJob(system="fraud", flink=command, python=command, code=command, connector=command, **more)


SUBMITTED = f"echo 'Job has been submitted with JobID {ID}'"


def test_a_job_is_submitted_once_all_of_it_runs(flink: Flink, tmp_path: Path) -> None:
    flink.answers[f"GET /jobs/{ID}"] = [{"state": "CREATED", "vertices": []}, STARTING, STARTING, RUNNING]
    script = f'echo "$TYPER_STANDARD_TRACEBACK $MINE $HOME" > {tmp_path}/env; echo "$@" > {tmp_path}/args; {SUBMITTED}'
    made = job(tmp_path, script, savepoint="s3://x/chk-7")
    assert submit_stream_job(load_settings(flink_url=URL), made, {"MINE": "here"}) == ID
    assert (tmp_path / "env").read_text().split() == ["1", "here", os.environ["HOME"]]
    assert "--fromSavepoint s3://x/chk-7 " in (tmp_path / "args").read_text()
    assert flink.time.slept == [0.25] * 3


@pytest.mark.parametrize("script", [f"{SUBMITTED}; exit 1", "echo 'nothing to say'", "echo 'a failure' >&2; exit 1"])
def test_a_command_that_fails_or_names_no_job_has_failed(flink: Flink, tmp_path: Path, script: str) -> None:
    with pytest.raises(StackError, match=r"flink run of 'fraud' failed \(exit [01]\):\n(Job has|nothing|a failure)"):
        submit_stream_job(load_settings(flink_url=URL), job(tmp_path, script))


def test_a_job_that_does_not_come_to_run_is_given_up_after_three_minutes(flink: Flink, tmp_path: Path) -> None:
    flink.answers[f"GET /jobs/{ID}"] = [STARTING]
    with pytest.raises(StackError, match=f"is still RUNNING after 180 s: read {URL}/#/job/{ID}"):
        submit_stream_job(load_settings(flink_url=URL), job(tmp_path, SUBMITTED))
    assert sum(flink.time.slept) == 180.25


@pytest.mark.parametrize("status", ["CREATED", "SCHEDULED", "DEPLOYING"])
def test_a_job_runs_when_all_of_its_tasks_do(flink: Flink, status: str) -> None:
    flink.answers["GET /jobs/j"] = [{"state": "RUNNING", "vertices": [{"status": status}]}, RUNNING]
    assert wait_for(URL, "j", frozenset({"RUNNING"}), 5.0) == "RUNNING"
    assert flink.time.slept == [0.25]


@pytest.mark.parametrize("state", ["CANCELED", "FAILED", "FINISHED"])
def test_a_job_that_ends_instead_is_told_with_its_cause(flink: Flink, state: str) -> None:
    flink.answers["GET /jobs/j"] = [{"state": state, "vertices": []}]
    entries = [{"stacktrace": "x" * 1999 + "yz"}, {"stacktrace": "another"}]
    flink.answers["GET /jobs/j/exceptions"] = [{"exceptionHistory": {"entries": entries}}, {}]
    with pytest.raises(StackError, match=f"stream job j is {state}: x{{1999}}y$"):
        wait_for(URL, "j", frozenset({"RUNNING"}), 5.0)
    with pytest.raises(StackError, match="see the job manager log"):
        wait_for(URL, "j", frozenset({"RUNNING"}), 5.0)
    assert wait_for(URL, "j", frozenset({state}), 5.0) == state


def test_jobs_that_have_ended_do_not_run(flink: Flink) -> None:
    states = ["RUNNING", "CANCELED", "FAILED", "FINISHED", "RESTARTING"]
    jobs = [{"jid": str(n), "name": f"job {n}", "state": state} for n, state in enumerate(states)]
    flink.answers["GET /jobs/overview"] = [{"jobs": jobs}]
    assert running_jobs(URL) == {"0": "job 0", "4": "job 4"}
    cancel(URL, "1")
    assert flink.asked == ["GET /jobs/overview"] * 2


def test_a_job_is_stopped_and_its_end_is_waited_for(flink: Flink) -> None:
    flink.answers = {
        "GET /jobs/overview": [{"jobs": [{"jid": "j", "name": "n", "state": "RUNNING"}]}],
        "PATCH /jobs/j?mode=cancel": [None],
        "GET /jobs/j": [RUNNING, {"state": "CANCELLING", "vertices": []}, {"state": "CANCELED", "vertices": []}],
    }
    cancel(URL, "j")
    assert flink.asked[1] == "PATCH /jobs/j?mode=cancel"
    assert flink.time.slept == [0.25] * 2
    flink.answers["GET /jobs/j"] = [RUNNING]
    flink.time.slept = []
    with pytest.raises(StackError, match="still RUNNING after 60 s"):
        cancel(URL, "j")
    assert sum(flink.time.slept) == 60.25


@pytest.mark.parametrize(
    ("config", "waits_s"),
    [
        ([{"key": submit.CACHE_OPTION, "value": "500 ms"}], 0.5),
        ([{"key": submit.CACHE_OPTION, "value": "1500ms"}], 1.5),
        ([{"key": submit.CACHE_OPTION, "value": "7 s"}], 7),
        ([{"key": submit.CACHE_OPTION, "value": "2 min"}], 3),
        ([{"key": "another", "value": "9 s"}], 3),
        ([], 3),
    ],
)
def test_a_checkpoint_is_asked_for_again_when_the_old_answer_is_forgotten(
    flink: Flink, config: list[dict[str, str]], waits_s: float
) -> None:
    flink.answers["GET /jobmanager/config"] = [config]
    flink.answers["GET /jobs/j/checkpoints"] = [{"latest": {"completed": None}}, {}]
    assert last_checkpoint(URL, "j") is None
    assert flink.time.slept == [waits_s]


def test_a_folder_that_holds_none_any_more_gives_the_one_that_was_told(flink: Flink, tmp_path: Path) -> None:
    told = f"{tmp_path}/chk-9"
    flink.answers["GET /jobs/j/checkpoints"] = [{"latest": {"completed": {"external_path": told}}}]
    assert last_checkpoint(URL, "j") == told
    assert flink.time.slept == []


def checkpoint(folder: Path, name: str, at: int = 5) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "_metadata").touch()
    os.utime(folder / name / "_metadata", (at, at))


def test_of_checkpoints_of_one_moment_the_higher_number_is_newer(tmp_path: Path) -> None:
    for number in (9, 10, 8):
        checkpoint(tmp_path / "job", f"chk-{number}")
    checkpoint(tmp_path / "job", "shared", 9)
    (tmp_path / "job" / "note.txt").touch()
    assert newest_checkpoint(str(tmp_path / "job")) == f"file://{tmp_path}/job/chk-10"
    checkpoint(tmp_path / "job", "chk-2", 6)
    assert newest_checkpoint(str(tmp_path)) == f"file://{tmp_path}/job/chk-2"


@pytest.mark.parametrize("folder", ["nowhere://x/y", "chk-x"])
def test_what_cannot_be_read_as_checkpoints_is_named(tmp_path: Path, folder: str) -> None:
    checkpoint(tmp_path, "chk-x")
    with pytest.raises(StackError, match=r"cannot be read .*check the URL"):
        newest_checkpoint(folder if "://" in folder else str(tmp_path))


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("no URL"), ImportError("no s3fs")])
def test_a_folder_that_cannot_be_opened_is_named(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails(folder: str) -> None:
        raise error

    monkeypatch.setattr("fsspec.url_to_fs", fails)
    with pytest.raises(StackError, match=f"checkpoints in s3://x cannot be read .{error}.: check the URL"):
        newest_checkpoint("s3://x")


def test_at_most_eight_causes_or_25_lines_are_told() -> None:
    chain = "\n".join(f"Caused by: x.E{n}Exception: {n}" for n in range(20))
    told = reason(chain).splitlines()
    assert told == [f"x.E{n}Exception: {n}" for n in range(19, 11, -1)]
    lines = "\n".join(f"line {n}\n   at some.Frame\n   ... 3 more\n\n" for n in range(40))
    assert reason(lines).splitlines() == [f"line {n}" for n in range(15, 40)]
