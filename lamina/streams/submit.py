"""Submitting the stream job to a Flink cluster, and stopping it again, by Flink's own command and REST interface."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lamina import proxies
from lamina.errors import StackError
from lamina.lake.files import children, name_of
from lamina.settings import Settings

JOB_ID = re.compile(r"Job has been submitted with JobID ([0-9a-f]{32})")
STACK_FRAME = re.compile(r"\s+(at |\.\.\. \d+ more)")
CAUSE = re.compile(r"(?:Caused by: |(?:[\w$]+\.)*[A-Z][\w$]*(?:Error|Exception|Unavailable|Missing): )")
ENDED = frozenset({"CANCELED", "FAILED", "FINISHED"})
SUBMIT_DEADLINE_S = 180.0
END_DEADLINE_S = 60.0
LOG_LINES = 25
CAUSES = 8
CACHE_OPTION = "rest.cache.checkpoint-statistics.timeout"
CACHE_S = 3.0
"""How long Flink's REST interface repeats what it said of checkpoints, unless `CACHE_OPTION` says otherwise."""


@dataclass(frozen=True, kw_only=True)
class StreamJob:
    """What is submitted, with what. `flink` is the distribution's command, `python` an interpreter with PyFlink.

    code: archive of `lamina` and `jobs` (`make dist/code.zip`). connector: the Kafka connector's jar. definitions: file
    with recorded ones that are run in the place of the system's own. savepoint: a checkpoint or savepoint to continue
    from. arguments: further ones of `jobs.flink.stream_features`.
    """

    system: str
    flink: Path
    python: Path
    code: Path
    connector: Path
    definitions: Path | None = None
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
        if self.definitions:
            run += ["--definitions", str(self.definitions)]
        return [*run, *self.arguments]


def submit_stream_job(settings: Settings, job: StreamJob, env: Mapping[str, str] | None = None) -> str:
    """Submit `job` to the cluster at `settings.flink_url`; returns its id once it runs.

    Args: env: variables on top of this process's, such as `Stack.flink_env()`.

    Raises: StackError: when the cluster does not take it; the message ends with the causes that Flink printed, the
    root first.
    """
    # A frame around a traceback would break the lines in which the cause is told.
    plain = {**os.environ, **(env or {}), "TYPER_STANDARD_TRACEBACK": "1"}
    proxies.spare_this_machine(plain)
    done = subprocess.run(job.command(settings), env=plain, capture_output=True, text=True, check=False)
    found = JOB_ID.search(done.stdout)
    if done.returncode or not found:
        why = reason(done.stdout + "\n" + done.stderr)
        raise StackError(f"flink run of {job.system!r} failed (exit {done.returncode}):\n{why}")
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
    return {job_id: name for job_id, (name, _) in job_states(flink_url).items()}


def job_states(flink_url: str) -> dict[str, tuple[str, str]]:
    """Name and state of each job that has not ended, by id: a job that fails again and again is not `RUNNING`."""
    jobs = _call(f"{flink_url}/jobs/overview")["jobs"]
    return {str(j["jid"]): (str(j["name"]), str(j["state"])) for j in jobs if j["state"] not in ENDED}


def cancel(flink_url: str, job_id: str) -> None:
    """Stop a job and wait for its end; one that has ended stays so.

    Raises: StackError: when it does not end.
    """
    if job_id not in running_jobs(flink_url):
        return
    _call(f"{flink_url}/jobs/{job_id}?mode=cancel", "PATCH")
    wait_for(flink_url, job_id, ENDED, END_DEADLINE_S)


def reason(printed: str) -> str:
    r"""Why a command failed, from all it printed: the exceptions it names, the root first, each once; without any, the
    last lines that are no stack frames.

    >>> print(reason("x.TopException: a\n\tat x.Y(Y.java:1)\nCaused by: z.RootException: b\n\t... 3 more"))
    z.RootException: b
    x.TopException: a
    """
    lines = [line for line in printed.splitlines() if line.strip() and not STACK_FRAME.match(line)]
    causes = [line.strip().removeprefix("Caused by: ") for line in lines if CAUSE.match(line.strip())]
    return "\n".join(list(dict.fromkeys(reversed(causes)))[:CAUSES] or lines[-LOG_LINES:])


def last_checkpoint(flink_url: str, job_id: str) -> str | None:
    """Path of a job's newest complete checkpoint, from which a new run of it can continue; None without one.

    Ask after `cancel`: a running job removes a checkpoint when the next one is complete. What Flink's REST interface
    says may be some seconds old and name one that is gone by then: where this process can read the folder of the
    checkpoints the newest that lies there is meant, elsewhere the interface is asked again after that time.
    """
    path = _told_checkpoint(flink_url, job_id)
    if path is not None:
        try:
            return newest_checkpoint(path.rpartition("/")[0]) or path
        except StackError:
            pass
    time.sleep(_cache_s(flink_url))
    return _told_checkpoint(flink_url, job_id)


def newest_checkpoint(folder: str) -> str | None:
    """The newest complete checkpoint in `folder`, that of one job or one that holds the folders of several; None
    without one.

    Args: folder: a path, or a URL of fsspec such as `s3://bucket/checkpoints`.
    Raises: StackError: when the folder cannot be read from here.
    """
    import fsspec  # type: ignore[import-untyped]

    try:
        fs, path = fsspec.url_to_fs(folder)
        if not fs.exists(path):
            raise StackError(f"checkpoints cannot be read: {folder} does not exist here")
        # Flink writes this file last.
        below = [folder for folder in children(fs, path) if fs.isdir(folder)]
        made = [*below, *(inner for folder in below for inner in children(fs, folder))]
        found = [
            file for folder in made if name_of(folder).startswith("chk-") and fs.exists(file := f"{folder}/_metadata")
        ]
        newest = max(found, key=lambda file: (fs.modified(file), _number(file)), default=None)
    except (OSError, ValueError, ImportError) as error:
        raise StackError(f"checkpoints in {folder} cannot be read ({error}): check the URL and its access") from error
    return None if newest is None else fs.unstrip_protocol(newest.rpartition("/")[0])


def _number(file: str) -> int:
    return int(file.split("/")[-2].removeprefix("chk-"))


def _told_checkpoint(flink_url: str, job_id: str) -> str | None:
    latest = _call(f"{flink_url}/jobs/{job_id}/checkpoints").get("latest", {}).get("completed")
    return str(latest["external_path"]) if latest else None


def _cache_s(flink_url: str) -> float:
    """How old an answer about checkpoints may be, in seconds."""
    config = {entry["key"]: entry["value"] for entry in _call(f"{flink_url}/jobmanager/config")}
    found = re.fullmatch(r"(\d+) ?(ms|s)", config.get(CACHE_OPTION, ""))
    return int(found[1]) / (1000 if found[2] == "ms" else 1) if found else CACHE_S


def _call(url: str, method: str = "GET") -> Any:
    try:
        body = proxies.open_url(urllib.request.Request(url, method=method), 20)
    except OSError as error:
        raise StackError(
            f"flink did not answer {method} {url} ({error}): check `lamina status` and LAMINA_FLINK_URL"
        ) from error
    return json.loads(body) if body else {}
