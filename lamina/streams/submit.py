"""Submitting the stream job to a Flink cluster, and stopping it again, by Flink's own command and REST interface."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lamina.errors import StackError
from lamina.settings import Settings

JOB_ID = re.compile(r"Job has been submitted with JobID ([0-9a-f]{32})")
STACK_FRAME = re.compile(r"\s+(at |\.\.\. \d+ more)")
ENDED = frozenset({"CANCELED", "FAILED", "FINISHED"})
SUBMIT_DEADLINE_S = 180.0
END_DEADLINE_S = 60.0
LOG_LINES = 25


@dataclass(frozen=True, kw_only=True)
class StreamJob:
    """What is submitted, with what. `flink` is the distribution's command, `python` an interpreter with PyFlink.

    code: archive of `lamina` and `jobs` (`make dist/code.zip`). connector: the Kafka connector's jar. savepoint: a
    checkpoint or savepoint to continue from. arguments: further ones of `jobs.flink.stream_features`.
    """

    system: str
    flink: Path
    python: Path
    code: Path
    connector: Path
    savepoint: str | None = None
    arguments: tuple[str, ...] = ()

    def command(self, settings: Settings) -> list[str]:
        """The whole `flink run` command."""
        address = urlsplit(settings.flink_url).netloc
        run = [str(self.flink), "run", "--detached", "--jobmanager", address]
        run += ["-pyclientexec", str(self.python), "-pyexec", str(self.python)]
        if self.savepoint:
            run += ["--fromSavepoint", self.savepoint]
        run += ["--pyFiles", str(self.code), "--pyModule", "jobs.flink.stream_features"]
        run += [
            "--system",
            self.system,
            "--bootstrap",
            settings.kafka_bootstrap,
            "--connector-jar",
            str(self.connector),
        ]
        if settings.topic_prefix:
            run += ["--topic-prefix", settings.topic_prefix]
        return [*run, *self.arguments]


def submit_stream_job(settings: Settings, job: StreamJob, env: Mapping[str, str] | None = None) -> str:
    """Submit `job` to the cluster at `settings.flink_url`; returns its id once it runs.

    Args: env: variables on top of this process's, such as `Stack.flink_env()`.

    Raises: StackError: when the cluster does not take it; the message ends with the last lines that Flink printed.
    """
    done = subprocess.run(
        job.command(settings), env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    found = JOB_ID.search(done.stdout)
    if done.returncode or not found:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if not STACK_FRAME.match(line)]
        tail = "\n".join(lines[-LOG_LINES:])
        raise StackError(f"flink run of {job.system!r} failed (exit {done.returncode}):\n{tail}")
    wait_for(settings.flink_url, found[1], frozenset({"RUNNING"}), SUBMIT_DEADLINE_S)
    return found[1]


def wait_for(flink_url: str, job_id: str, states: frozenset[str], deadline_s: float) -> str:
    """The state of a job once it is among `states` and, when that is RUNNING, all of its tasks run.

    Raises: StackError: when it ended otherwise, or `deadline_s` passed.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        job = _call(f"{flink_url}/jobs/{job_id}")
        state = str(job["state"])
        if state in states and (state != "RUNNING" or all(v["status"] == "RUNNING" for v in job["vertices"])):
            return state
        if state in ENDED:
            cause = _call(f"{flink_url}/jobs/{job_id}/exceptions").get("exceptionHistory", {}).get("entries", [])
            text = "\n".join(str(entry.get("stacktrace", ""))[:2000] for entry in cause[:1])
            raise StackError(f"stream job {job_id} is {state}: {text or 'see the job manager log'}")
        if time.monotonic() > deadline:
            raise StackError(
                f"stream job {job_id} is still {state} after {deadline_s:.0f} s: read {flink_url}/#/job/{job_id}"
            )
        time.sleep(0.25)


def running_jobs(flink_url: str) -> dict[str, str]:
    """Names of the jobs that have not ended, by id."""
    return {j["jid"]: j["name"] for j in _call(f"{flink_url}/jobs/overview")["jobs"] if j["state"] not in ENDED}


def cancel(flink_url: str, job_id: str) -> None:
    """Stop a job and wait for its end; one that has ended stays so.

    Raises: StackError: when it does not end.
    """
    if job_id not in running_jobs(flink_url):
        return
    _call(f"{flink_url}/jobs/{job_id}?mode=cancel", "PATCH")
    wait_for(flink_url, job_id, ENDED, END_DEADLINE_S)


def last_checkpoint(flink_url: str, job_id: str) -> str | None:
    """Path of a job's newest complete checkpoint, from which a new run of it can continue; None without one.

    Ask after `cancel`: a running job removes a checkpoint when the next one is complete.
    """
    latest = _call(f"{flink_url}/jobs/{job_id}/checkpoints").get("latest", {}).get("completed")
    return str(latest["external_path"]) if latest else None


def _call(url: str, method: str = "GET") -> Any:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as response:
            body = response.read()
    except (OSError, urllib.error.URLError) as error:
        raise StackError(
            f"flink did not answer {method} {url} ({error}): check `lamina status` and LAMINA_FLINK_URL"
        ) from error
    return json.loads(body) if body else {}
