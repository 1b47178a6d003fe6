"""The console from what serves. Nothing here opens a connection."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from lamina.clock import Clock
from lamina.registry.protocol import ModelRegistry
from lamina.settings import Settings
from lamina.store.redis_reader import RedisExchange
from serving.console.app import Console
from serving.console.kept import Kept
from serving.console.people import People, console_secret
from serving.console.processes import TIMEOUT_S, Processes, Ready
from serving.console.reviewing import ReviewPages
from serving.console.showing import ReportPages
from serving.console.watching import WatchPages
from serving.middleware.keys import ApiKey
from serving.reviews import Reviews


def make_console(
    settings: Settings,
    keys: tuple[ApiKey, ...] | None,
    systems: Sequence[str],
    registry: ModelRegistry,
    reviews: Reviews,
    ready: Ready,
    processes: Processes,
) -> Console:
    """The console of these systems. Args: keys: None where there are none."""
    queue = reviews.queue
    return Console(
        People(keys, lambda: console_secret(settings), settings.console_session_s),
        WatchPages(settings, systems, registry, queue.database, ready, processes, Kept()),
        ReviewPages(queue, settings.lake_url, Kept(), Kept()),
        ReportPages(settings.lake_url, registry, systems, Kept()),
    )


def make_processes(settings: Settings, reviews: Reviews, clock: Clock, *, alone: bool) -> Processes:
    """This process among those that serve. Args: alone: nothing is shared with others."""
    redis = None if alone else RedisExchange(settings.redis_url.get_secret_value(), timeout_s=TIMEOUT_S)
    return Processes(redis, f"{socket.gethostname()}:{settings.api_port}", reviews.intake.newest, clock)
