"""What makes a fresh stack flow: its topics, and the stream jobs of its systems on its Flink cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from lamina.clock import system_clock
from lamina.definitions import load, system_names
from lamina.errors import StackError
from lamina.local import jars
from lamina.local.layout import flink_env, flink_home
from lamina.local.stack import Stack
from lamina.rollout.generation import Generation, write_features
from lamina.rollout.progress import forget_group
from lamina.rollout.records import read_records
from lamina.rollout.steps import begin
from lamina.settings import ROOT, Settings
from lamina.streams.submit import StreamJob, running_jobs, submit_stream_job
from lamina.streams.topics import create_topics

CODE = ROOT / "dist" / "code.zip"


def start_streams(stack: Stack, settings: Settings, systems: Iterable[str] | None = None) -> dict[str, str]:
    """Create missing topics, submit the stream jobs that do not run; returns the ids of all jobs by system.

    Where a rollout is under way, the jobs of the features that are read, or kept, are submitted as well.

    Raises: StackError: when the code archive is missing, or the cluster does not take a job. DefinitionError,
    RolloutError: when the record of a rollout cannot be read.
    """
    create_topics(settings.kafka_bootstrap, settings.topic_prefix)
    if not CODE.exists():
        raise StackError(f"{CODE} is missing: run `make dist/code.zip`")
    running = {name: job_id for job_id, name in running_jobs(settings.flink_url).items()}
    found = {}
    for system in system_names() if systems is None else systems:
        own = Generation(load(system))
        record = begin(settings, own, system_clock())
        read = [record.generation for record in read_records(settings.lake_url, system) if record.live_ms is not None]
        for generation in (*read, own):
            name = generation.job_name
            if generation.plan.speed and name not in running:
                if record.live_ms is None and name == own.job_name:
                    # It begins anew: what one before has read must not pass for having caught up.
                    forget_group(settings, generation)
                running[name] = submit_generation(settings, generation, stack.flink_env())
        if own.plan.speed:
            found[system] = running[own.job_name]
    return found


def submit_generation(settings: Settings, generation: Generation, env: Mapping[str, str]) -> str:
    """Submit the stream job of a generation, by its own definitions whatever the code's are; returns the job's id.

    Args: env: variables of `flink run`, such as `Stack.flink_env()`.
    Raises: StackError: when the cluster does not take it.
    """
    with tempfile.TemporaryDirectory() as folder:
        definitions = Path(folder) / f"{generation.id}.json"
        definitions.write_text(write_features(generation.features))
        return submit_stream_job(settings, _job(generation.system, definitions), env)


def _job(system: str, definitions: Path) -> StreamJob:
    return StreamJob(
        system=system,
        flink=flink_home(ROOT) / "bin" / "flink",
        python=flink_env(ROOT) / "bin" / "python",
        code=CODE,
        connector=jars.flink_connector()[0],
        definitions=definitions,
        # The local task manager has little managed memory for RocksDB, and a laptop's state fits the heap.
        arguments=("--state-backend", "hashmap"),
    )
