from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from lamina.local.ports import is_free
from lamina.streams.sink import SinkOptions
from lamina.streams.sink_metrics import SinkMetrics


def test_the_topic_carries_the_prefix() -> None:
    assert SinkOptions(bootstrap="b:1", topic_prefix="p-").topic == "p-feature-tiles"


def test_the_metrics_tell_how_old_events_are_when_they_can_be_read() -> None:
    port = next(p for p in range(21_000, 22_000) if is_free(p))
    metrics = SinkMetrics(port, "127.0.0.1")
    with pytest.raises(urllib.error.URLError):
        # Another address of this machine: on all of them it would answer here, too.
        urllib.request.urlopen(f"http://127.0.0.2:{port}/metrics", timeout=10)
    metrics.moved(messages=3, written=2, left_out=1, broken=0, late=1, seconds=0.01, oldest_s=0.02, newest_event_s=0.4)
    metrics.moved(messages=1, written=0, left_out=0, broken=1, late=0, seconds=0.01, oldest_s=None, newest_event_s=None)
    metrics.rewound()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    for line in (
        'lamina_sink_event_age_seconds_bucket{le="0.25"} 0.0',
        'lamina_sink_event_age_seconds_bucket{le="0.5"} 1.0',
        "lamina_sink_event_age_seconds_count 1.0",
        "lamina_sink_late_tiles_total 1.0",
        "lamina_sink_rewinds_total 1.0",
        'lamina_sink_tiles_total{outcome="left_out"} 1.0',
    ):
        assert line in lines
