"""Clients of the API: a world's payments, each posted at its time, with the world's days compressed."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import orjson

from lamina.clock import DAY_MS, midnight_ms
from lamina.definitions.fraud import TRANSACTIONS
from lamina.worlds.protocol import World
from lamina.worlds.wire import event_bytes

TIMEOUT_S = 5.0


class Clients(threading.Thread):
    """Posts payments one after the other until `stop`; one that is late goes at once, one that is refused is gone."""

    def __init__(self, url: str, world: World, day_s: float) -> None:
        super().__init__(name="clients")
        self._url, self._world, self._day_s = f"{url}/fraud/decisions", world, day_s
        self._ended = threading.Event()
        self.answered: set[str] = set()
        """Ids of payments that got a decision."""
        self.refused = 0

    def stop(self) -> None:
        """End after the payment at hand."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        """The clients."""
        began = time.monotonic()
        for due_s, body in self._due():
            while (wait := began + due_s - time.monotonic()) > 0:
                if self._ended.wait(min(wait, 0.5)):
                    return
            if self._ended.is_set():
                return
            self._post(body)

    def _due(self) -> Iterator[tuple[float, dict[str, object]]]:
        begin_ms = midnight_ms(self._world.date_of(0))
        for n in range(self._world.days):
            for raw in event_bytes(self._world.day(n)[TRANSACTIONS.topic]):
                body = orjson.loads(raw)
                passed_ms = int(body["timestamp"]) - begin_ms - n * DAY_MS
                yield (n + passed_ms / DAY_MS) * self._day_s, body

    def _post(self, body: dict[str, object]) -> None:
        request = urllib.request.Request(self._url, orjson.dumps(body), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                json.load(answer)
        except (OSError, urllib.error.URLError, ValueError):
            self.refused += 1
            return
        self.answered.add(str(body["transaction_id"]))
