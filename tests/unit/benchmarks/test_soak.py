"""What a soak says of growth, and that its page shows every part."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest.mock import Mock

import pytest

from benchmarks.fire.clients import Clients
from benchmarks.fire.sampler import JOURNAL, MEMORY, STORE, TOPIC, Sampler
from benchmarks.soak_page import write_page
from lamina.local.layout import Layout
from lamina.worlds.fraud.world import FraudWorld

FIGURES = {"answered": 3, "events": 4, "days": 2, "lost": 0, "growth_mib": 1.5}


def sampler() -> Sampler:
    found = Sampler(Mock(), Mock(), every_s=1.0)
    for i in range(40):
        sizes = {
            (MEMORY, "api"): 100.0 + (i if i < 20 else 20),
            (STORE, "redis data"): 5.0 + i,
            (TOPIC, "tiles"): 9.0 * i,
        }
        if i != 7:  # a restart
            sizes[MEMORY, "sink"] = 50.0
        if i > 3:
            sizes[JOURNAL, "journal"] = 1.0
        found.add(float(i), sizes)
    return found


def test_growth_is_that_of_the_last_half_without_the_topics() -> None:
    # Redis alone grows after the half, by 1 a moment: from the tenth at 20 to the last one.
    assert sampler().growth_mib() == 16.0


def test_sizes_are_those_of_the_stacks_folders(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    logs = layout.data / "kafka" / "log"
    for topic, n in (("feature-tiles-0", 3), ("feature-tiles-1", 1), ("__consumer_offsets-0", 9)):
        (logs / topic).mkdir(parents=True)
        (logs / topic / "0.log").write_bytes(b"x" * n * 2**20)
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "1").write_bytes(b"x" * 2**20)
    settings = Mock()
    settings.redis_url.get_secret_value.return_value = "redis://127.0.0.1:1/0"
    found = Sampler(Mock(layout=layout, pids=lambda: {"me": os.getpid()}), settings, every_s=1.0)._look()
    assert found.keys() == {(MEMORY, "me"), (JOURNAL, "journal"), (TOPIC, "feature-tiles")}
    assert found[TOPIC, "feature-tiles"] == pytest.approx(4.0, abs=0.1)
    assert found[JOURNAL, "journal"] == pytest.approx(1.0, abs=0.1)


def test_what_was_gone_for_a_moment_is_a_gap() -> None:
    found = sampler()
    assert found.series[MEMORY, "sink"][7] is None
    assert {len(own) for own in found.series.values()} == {40}
    assert found.peaks_mib() == {"api": 120.0, "sink": 50.0, "redis data": 44.0, "journal": 1.0, "topic tiles": 351.0}


def test_the_page_shows_every_part(tmp_path: Path) -> None:
    found = sampler()
    found.restarted("sink")
    write_page(tmp_path / "page.html", found, FIGURES)
    page = (tmp_path / "page.html").read_text()
    assert all(f">{name}<" in page for name in ("api", "sink", "redis data", "journal", "tiles"))
    assert page.count("<svg") == 4
    assert "src=" not in page


@pytest.mark.parametrize(("status", "answered"), [(200, True), (503, False)])
def test_a_payment_counts_as_answered_by_its_answer_alone(status: int, answered: bool) -> None:
    from datetime import date

    posted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            posted.append(body["transaction_id"])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    world = FraudWorld(seed=1, users=20, days=2, start=date(2025, 1, 1))
    clients = Clients(f"http://127.0.0.1:{server.server_port}", world, 0.2)
    clients.start()
    clients.join(60)
    server.shutdown()
    server.server_close()
    expected = [row["transaction_id"] for n in range(2) for row in world.transactions(n).to_pylist()]
    assert sorted(posted) == sorted(expected)
    assert clients.answered == (set(posted) if answered else set())
    assert clients.refused == (0 if answered else len(posted))
