"""The console on a real socket, over a queue with cases and nothing else that is connected."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import uvicorn

from lamina.contracts.reasons import Reason
from lamina.contracts.served import Served
from lamina.contracts.topics import predictions_of
from lamina.registry.memory import MemoryRegistry
from lamina.reviews.cases import Case
from lamina.settings import Settings
from serving.bootstrap import Service, make_app, make_service
from tests.unit.serving.recognisable import AsyncMemoryStore
from tests.unit.serving.systems.fraud.test_review import answer

KEYS = {
    "ann": ("ann-secret-0123456789", "scopes: [feedback], sources: [analyst]"),
    "bob": ("bob-secret-0123456789", "scopes: [feedback], sources: [analyst]"),
    "boss": ("boss-secret-0123456789", "scopes: [admin]"),
    "eve": ("eve-secret-0123456789", "scopes: [console]"),
    "scraper": ("scraper-secret-0123456789", "scopes: [metrics]"),
    "shop": ("shop-secret-0123456789", "scopes: [decide]"),
}
START_MS = 1_735_689_600_000


def keys_file(folder: Path) -> Path:
    """A key each for two analysts, an operator, who only looks, and two clients without any right here."""
    file = folder / "keys.yaml"
    lines = [
        f"{{name: {name}, sha256: {sha256(key.encode()).hexdigest()}, {more}}}" for name, (key, more) in KEYS.items()
    ]
    file.write_text("keys:\n" + "".join(f"  - {line}\n" for line in lines))
    return file


def payment(n: int, *, user: str = "u-1") -> Served:
    """An answer that waits; the larger `n`, the more is at stake."""
    found = answer(0.62 + n / 100, 100.0 * n)
    reasons = [vars(Reason(kind="rule", code="unusual_amount", detail=f"{100 * n} is far above what {user} pays"))]
    return found.model_copy(
        update={
            "request_id": f"r-{n}",
            "event_id": f"t-{n}",
            "subjects": {"user": user, "merchant": f"m-{n}"},
            "timestamp": START_MS - 60_000 + n,
            "features": {"amount": 100.0 * n, "txn_count_1h": 3, "avg_txn_amount": 21.5, "merchant_category": "travel"},
            "payload": {**found.payload, "reasons": reasons},
        }
    )


class Site:
    """The service and its clock, which stands until a test moves it."""

    def __init__(self, folder: Path, *, keys: Path | bool = True, cases: int = 3) -> None:
        self.now_ms = START_MS
        settings = Settings.model_validate(
            {
                "stack_dir": folder / "stack",
                "lake_url": str(folder / "lake"),
                "api_keys_file": keys_file(folder) if keys is True else keys or None,
                "review_teach_share": 0.0,
                "redis_timeout_ms": 10_000,
                "decision_deadline_ms": 10_000,
                "predict_cache_ttl_s": 0,
                # Nothing listens there.
                "airflow_url": "http://127.0.0.1:9",
                "kafka_bootstrap": "127.0.0.1:9",
            }
        )
        self.registry = MemoryRegistry(folder / "registry")
        self.service: Service = make_service(
            settings, registry=self.registry, store=AsyncMemoryStore(), clock=lambda: self.now_ms
        )
        self.queue = self.service.reviews.queue
        reviewing = self.service.reviews.reviewing["fraud"]
        self.queue.open([reviewing.case(payment(n)) for n in range(1, cases + 1)])
        newest = self.service.reviews.intake.kept[predictions_of("fraud")]
        newest.extend(payment(n).to_json() for n in range(1, cases + 1))
        self.app = make_app(self.service)
        self.runner = asyncio.Runner()

    def close(self) -> None:
        """Let go of everything."""
        self.runner.close()
        self.queue.database.close()

    def case(self, request_id: str) -> Case:
        """The case of a request."""
        from lamina.reviews import reading

        found = [*reading.waiting(self.queue.database), *reading.decided_by(self.queue.database, "ann")]
        return next(case for case in found if case.request_id == request_id)


@contextmanager
def listening(site: Site) -> Iterator[str]:
    """The address of the site while it is served."""
    server = uvicorn.Server(uvicorn.Config(site.app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
