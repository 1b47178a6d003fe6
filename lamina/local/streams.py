"""What makes a fresh stack flow: its topics, and one stream job a system on its Flink cluster."""

from __future__ import annotations

from collections.abc import Iterable

from lamina.definitions import load, system_names
from lamina.errors import StackError
from lamina.local import jars
from lamina.local.layout import flink_env, flink_home
from lamina.local.stack import Stack
from lamina.semantics.plan import make_plan
from lamina.settings import ROOT, Settings
from lamina.streams.submit import StreamJob, running_jobs, submit_stream_job
from lamina.streams.topics import create_topics

CODE = ROOT / "dist" / "code.zip"


def start_streams(stack: Stack, settings: Settings, systems: Iterable[str] | None = None) -> dict[str, str]:
    """Create missing topics, submit the stream jobs that do not run; returns the ids of all jobs by system.

    Raises: StackError: when the code archive is missing, or the cluster does not take a job.
    """
    create_topics(settings.kafka_bootstrap, settings.topic_prefix)
    if not CODE.exists():
        raise StackError(f"{CODE} is missing: run `make dist/code.zip`")
    running = {name: job_id for job_id, name in running_jobs(settings.flink_url).items()}
    found = {}
    for system in system_names() if systems is None else systems:
        if not make_plan(load(system)).speed:
            continue
        name = f"lamina-stream-{system}"
        found[system] = running.get(name) or submit_stream_job(settings, _job(system), stack.flink_env())
    return found


def _job(system: str) -> StreamJob:
    return StreamJob(
        system=system,
        flink=flink_home(ROOT) / "bin" / "flink",
        python=flink_env(ROOT) / "bin" / "python",
        code=CODE,
        connector=jars.flink_connector()[0],
        # The local task manager has little managed memory for RocksDB, and a laptop's state fits the heap.
        arguments=("--state-backend", "hashmap"),
    )
