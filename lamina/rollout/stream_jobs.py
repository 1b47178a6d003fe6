"""The stream jobs of a system's generations on the Flink cluster, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lamina.streams.submit import cancel, job_states


def jobs_of(system: str, states: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Those of `states` (name and state by id) that keep tiles of `system`, a job of before generations among them.

    >>> running = {"1": ("lamina-stream-fraud-0a1b2c3d", "RUNNING"), "2": ("lamina-stream-shop", "RUNNING")}
    >>> list(jobs_of("fraud", running))
    ['1']
    """
    name = re.compile(rf"lamina-stream-{re.escape(system)}(-[0-9a-f]{{8}})?")
    return {job_id: job for job_id, job in states.items() if name.fullmatch(job[0])}


def cancel_others(flink_url: str, system: str, keep: Iterable[str]) -> list[str]:
    """Stop the stream jobs of `system` but those named in `keep`; returns the names of those that were stopped.

    Raises: StackError: when Flink does not answer, or a job does not end.
    """
    others = {i: name for i, (name, _) in jobs_of(system, job_states(flink_url)).items() if name not in set(keep)}
    for job_id in others:
        cancel(flink_url, job_id)
    return sorted(others.values())
