"""Pages for who looks: systems, models, what is measured, runs, dead letters, the audit log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from lamina.errors import LaminaError
from lamina.registry.protocol import ModelRegistry
from lamina.reviews import audit, reading
from lamina.reviews.database import Database
from lamina.settings import Settings
from serving.console import figures, measured, sights
from serving.console.alarms import alarms
from serving.console.door import PERSON
from serving.console.heat import LEVELS
from serving.console.kept import Kept
from serving.console.people import Person
from serving.console.processes import Processes, Ready
from serving.console.rendering import render

QUICK_S, SLOW_S = 4.0, 30.0
"""How long a page's figures are kept: of what this process knows, and of what it asks others."""
AUDIT_AT_ONCE, AUDIT_S = 50, 2.0
MOST = 12
"""Rows of a table that are shown at once, where there may be hundreds."""

Values = dict[str, Any]


@dataclass(frozen=True)
class WatchPages:
    """Each page is made once for all who look at it, and kept for some seconds.

    Args: systems: names of those served; ready: how everything does here; processes: all that serve.
    """

    settings: Settings
    systems: Sequence[str]
    registry: ModelRegistry
    database: Database
    ready: Ready
    processes: Processes
    kept: Kept

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/", self.overview),
            Route("/parts/overview", self.overview_part),
            Route("/models", self.models),
            Route("/measured", self.measured),
            Route("/runs", self.runs),
            Route("/dead-letters", self.letters),
            Route("/audit", self.audit),
        ]

    async def overview(self, request: Request) -> Response:
        """The first page."""
        return page(request, "Overview", "overview", await self._overview(), polled="/console/parts/overview")

    async def overview_part(self, request: Request) -> Response:
        """What of it changes."""
        return HTMLResponse(await self._overview())

    async def _overview(self) -> str:
        ready = await self.ready()

        def made() -> str:
            everyone = self.processes.all(ready.status)
            told = everyone.processes
            return render(
                "overview.html",
                ready=ready,
                everyone=everyone,
                alarms=alarms(),
                traffic=figures.added_traffic(row for each in told for row in each.traffic),
                latencies=figures.spreads((row for each in told for row in each.latencies), scale=1000.0),
                ages=figures.spreads(row for each in told for row in each.ages),
                sides=figures.sides(row for each in told for row in each.times),
                answers={system: everyone.answers(system) for system in self.systems},
                cases=_or_problem(lambda: reading.counts(self.database)),
            )

        return await self.kept.get("overview", QUICK_S, made)

    async def models(self, request: Request) -> Response:
        """Versions, and the cards of champion and challenger."""
        look = partial(sights.models, self.registry, self.systems)
        return page(request, "Models", "models", await self._made("models.html", look))

    async def measured(self, request: Request) -> Response:
        """The newest report of each kind."""
        lake = self.settings.lake_url

        def look() -> Values:
            return {
                "seen": {system: measured.seen(lake, system) for system in self.systems},
                "parity": sights.parity(lake, self.systems),
                "quality": sights.quality(lake),
            }

        told = {"ordered": measured.ordered, "figure_names": measured.figure_names, "levels": LEVELS, "most": MOST}
        return page(request, "Measured", "measured", await self._made("measured.html", look, **told))

    async def runs(self, request: Request) -> Response:
        """The newest runs of the DAGs."""
        return page(request, "Runs", "runs", await self._made("runs.html", partial(sights.runs, self.settings)))

    async def letters(self, request: Request) -> Response:
        """What could not be processed."""
        look = partial(sights.letters, self.settings)
        return page(request, "Dead letters", "dead-letters", await self._made("letters.html", look))

    async def audit(self, request: Request) -> Response:
        """What was done, the newest first."""
        asked = request.query_params.get("before", "")
        before = int(asked) if asked.isdigit() and len(asked) < 16 else None

        def made() -> str:
            entries = audit.entries(self.database, before=before, most=AUDIT_AT_ONCE)
            older = entries[-1].seq if len(entries) == AUDIT_AT_ONCE else None
            return render("audit.html", entries=entries, older=older)

        return page(request, "Audit log", "audit", await self.kept.get(("audit", before), AUDIT_S, made))

    async def _made(self, template: str, look: Callable[[], object], **told: object) -> str:
        return await self.kept.get(template, SLOW_S, lambda: render(template, **_or_problem(look), **told))


def _or_problem(look: Callable[[], object]) -> Values:
    """What `look` finds, or what keeps it from looking: a page says so, and the others are there all the same."""
    try:
        return {"found": look(), "problem": None}
    except (LaminaError, OSError, ValueError) as error:
        return {"found": None, "problem": str(error)}


def page(
    request: Request, title: str, here: str, content: str, *, polled: str | None = None, status: int = 200
) -> Response:
    """A page around what was rendered. Args: here: its entry in the menu; polled: where its content is had anew."""
    person: Person = getattr(request.state, PERSON)
    # Rendered by a template, which has escaped it.
    values: Values = {"person": person, "title": title, "here": here, "content": Markup(content), "polled": polled}
    return HTMLResponse(render("page.html", **values), status)
