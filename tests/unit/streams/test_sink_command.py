"""The sink's command, what it measures, and the rebuilding of a store."""

from __future__ import annotations

import signal
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lamina.errors import StoreUnavailable
from lamina.streams import rebuild, sink
from lamina.streams.sink import SinkOptions
from lamina.streams.sink_metrics import SinkMetrics
from lamina.streams.topic_metrics import TopicCollector


class Sink:
    """Takes the place of `TileSink`: notes how it is made, and is told to stop by a signal while it runs."""

    made: list[Sink]
    error: Exception | None = None

    def __init__(self, options: SinkOptions, store: object, metrics: object = None) -> None:
        self.options, self.store, self.metrics, self.stops = options, store, metrics, 0
        Sink.made.append(self)

    def stop(self) -> None:
        self.stops += 1

    def run(self) -> None:
        if self.error is not None:
            raise self.error
        if self.options.group_id == "lamina-sink":
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    Sink.made = []
    monkeypatch.setattr(sink, "TileSink", Sink)
    monkeypatch.setattr(rebuild, "TileSink", Sink)
    monkeypatch.setattr("lamina.streams.store.store_for_tiles", lambda settings: "a store")
    monkeypatch.setenv("LAMINA_KAFKA_BOOTSTRAP", "b:1")
    monkeypatch.setenv("LAMINA_TOPIC_PREFIX", "p-")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, signal.SIG_IGN)
    yield Sink.made
    for number, handler in before.items():
        signal.signal(number, handler)


def run(*arguments: str) -> Any:
    command = typer.Typer()
    command.command()(sink.main)
    return CliRunner().invoke(command, list(arguments))


def test_the_sink_is_made_as_the_settings_say_and_stops_when_told(made: list[Sink]) -> None:
    assert run().exit_code == 0
    (only,) = made
    assert only.options == SinkOptions(bootstrap="b:1", topic_prefix="p-")
    assert (only.store, only.metrics, only.stops) == ("a store", None, 2)


def test_each_option_is_passed_on(made: list[Sink]) -> None:
    done = run("--from-start", "--until-now", "--batch-messages", "1", "--batch-ms", "1", "--give-up-s", "1")
    assert done.exit_code == 0, done.output
    assert made[0].options == SinkOptions(
        bootstrap="b:1",
        topic_prefix="p-",
        batch_messages=1,
        batch_ms=1,
        give_up_s=1.0,
        from_start=True,
        until_now=True,
    )
    assert run("--give-up-s", "240").exit_code == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ("--give-up-s", "241"),
        ("--give-up-s", "0.5"),
        ("--batch-ms", "0"),
        ("--batch-messages", "0"),
        ("--metrics-port", "65536"),
        ("--metrics-port", "-1"),
    ],
)
def test_what_cannot_be_is_refused(made: list[Sink], wrong: tuple[str, str]) -> None:
    assert run(*wrong).exit_code == 2
    assert made == []


def test_metrics_are_served_where_they_are_asked_for(made: list[Sink], monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[Any] = []

    def served(port: int, host: str, beside: list[Any]) -> tuple[int, str]:
        others.extend(beside)
        return port, host

    monkeypatch.setattr(sink, "SinkMetrics", served)
    monkeypatch.setenv("LAMINA_METRICS_HOST", "127.0.0.3")
    assert [run("--metrics-port", port).exit_code for port in ("1", "65535")] == [0, 0]
    assert [each.metrics for each in made] == [(1, "127.0.0.3"), (65535, "127.0.0.3")]
    assert [type(each) for each in others] == [TopicCollector, TopicCollector]


def test_what_ends_it_is_told_in_a_sentence(made: list[Sink], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sink, "error", StoreUnavailable("Redis is away"))
    done = run()
    assert done.exit_code == 1
    assert done.stderr == "sink: Redis is away\n"


def test_a_rebuild_reads_everything_in_a_group_of_its_own(made: list[Sink]) -> None:
    store: Any = "a store"
    for _ in range(2):
        rebuild.replay("b:1", "p-", store)
    first, second = (each.options for each in made)
    assert (first.bootstrap, first.topic, first.from_start, first.until_now) == ("b:1", "p-feature-tiles", True, True)
    assert first.group_id.startswith("lamina-rebuild-") and len(first.group_id) == len("lamina-rebuild-") + 8
    assert first.group_id != second.group_id and made[0].store == store


@pytest.fixture
def exposed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sink's metrics and what they tell, without a port."""
    from prometheus_client import generate_latest

    registries: list[Any] = []
    monkeypatch.setattr("prometheus_client.start_http_server", lambda *_, registry: registries.append(registry))
    metrics = SinkMetrics(1, "127.0.0.1")
    return metrics, lambda: generate_latest(registries[0]).decode().splitlines()


def bounds(lines: list[str], name: str) -> list[float]:
    begin = f'{name}_bucket{{le="'
    return [float(line.removeprefix(begin).partition('"')[0]) for line in lines if line.startswith(begin)]


def test_times_are_counted_in_even_steps_and_ages_in_those_of_a_clock(exposed: Any) -> None:
    _, lines = exposed
    steps = [digit * 10.0**power for power in range(-3, 2) for digit in (1, 2.5, 5)]
    seconds = [*(step for step in steps if step <= 10), 30, float("inf")]
    assert bounds(lines(), "lamina_sink_batch_seconds") == pytest.approx(seconds)
    assert bounds(lines(), "lamina_sink_record_age_seconds") == pytest.approx(seconds)
    minute, hour = 60, 3600
    ages = [0.25, 0.5, 1, 2.5, 5, 10, 30, minute, 5 * minute, hour, 6 * hour, 24 * hour, float("inf")]
    assert bounds(lines(), "lamina_sink_event_age_seconds") == ages


def test_every_count_has_its_metric(exposed: Any) -> None:
    metrics, lines = exposed
    given = {"messages": 30, "written": 20, "left_out": 5, "broken": 4, "late": 3}
    metrics.moved(**given, seconds=0.5, oldest_s=-1.0, newest_event_s=-2.0)
    metrics.moved(**given, seconds=0.25, oldest_s=4.0, newest_event_s=2.0)
    metrics.refused()
    metrics.rewound()
    metrics.uncommitted()
    metrics.lag({0: 7, 1: 0})
    told = lines()
    for line in (
        "lamina_sink_messages_total 60.0",
        'lamina_sink_tiles_total{outcome="written"} 40.0',
        'lamina_sink_tiles_total{outcome="left_out"} 10.0',
        "lamina_sink_dead_letters_total 8.0",
        "lamina_sink_late_tiles_total 6.0",
        "lamina_sink_refused_batches_total 1.0",
        "lamina_sink_rewinds_total 1.0",
        "lamina_sink_uncommitted_total 1.0",
        "lamina_sink_batch_seconds_sum 0.75",
        "lamina_sink_record_age_seconds_sum 4.0",
        "lamina_sink_event_age_seconds_sum 2.0",
        'lamina_sink_lag_messages{partition="0"} 7.0',
        'lamina_sink_lag_messages{partition="1"} 0.0',
    ):
        assert line in told
