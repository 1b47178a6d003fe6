"""The console from what serves. Nothing here opens a connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from lamina.registry.protocol import ModelRegistry
from lamina.settings import Settings
from serving.console.app import Console
from serving.console.kept import Kept
from serving.console.people import People, console_secret
from serving.console.reviewing import ReviewPages
from serving.console.showing import ReportPages
from serving.console.watching import WatchPages
from serving.middleware.keys import ApiKey
from serving.reviews import Reviews
from serving.routes.health import Readiness


def make_console(
    settings: Settings,
    keys: tuple[ApiKey, ...] | None,
    systems: Sequence[str],
    registry: ModelRegistry,
    reviews: Reviews,
    ready: Callable[[], Awaitable[Readiness]],
) -> Console:
    """The console of these systems. Args: keys: None where there are none."""
    queue = reviews.queue
    return Console(
        People(keys, lambda: console_secret(settings), settings.console_session_s),
        WatchPages(settings, systems, registry, queue.database, ready, reviews.intake.newest, Kept()),
        ReviewPages(queue, settings.lake_url, Kept(), Kept()),
        ReportPages(settings.lake_url, registry, systems, Kept()),
    )
