from __future__ import annotations

import os

import pytest

from benchmarks.progress import Progress, process_cpu_s


def test_the_rate_begins_when_it_is_warm_and_ends_with_the_last_message() -> None:
    progress = Progress()
    for at_s, moved in ((0.0, 0), (10.0, 10), (12.0, 30), (20.0, 110), (21.0, 120), (60.0, 120)):
        progress.note(at_s, moved, {"flink": 2 * at_s})
    steady = progress.steady(0.25)
    assert (steady.moved, steady.seconds, steady.cpu_s) == (90, 9.0, {"flink": 18.0})
    assert (steady.share, steady.per_s) == (0.75, 10.0)


def test_processor_time_is_that_of_the_processes_that_run() -> None:
    before = process_cpu_s([os.getpid()])
    sum(i * i for i in range(2_000_000))
    assert process_cpu_s([os.getpid()]) > before
    with pytest.raises(Exception, match="process"):
        process_cpu_s([2**22 + 1])
