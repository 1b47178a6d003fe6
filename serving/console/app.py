"""The console as an application of its own under `/console`, so that no decision passes its door."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from lamina.errors import LaminaError
from lamina.lake.report_pages import NoSuchReport, PageTooLarge
from lamina.monitoring import metrics
from lamina.registry.protocol import NotInRegistry
from lamina.reviews.errors import HeldByAnother, NoSuchCase, TooLate
from serving.console.door import PERSON, Door
from serving.console.people import People
from serving.console.rendering import FOLDER, render
from serving.console.reviewing import ReviewPages
from serving.console.showing import ReportPages
from serving.console.signing_in import SignInPages
from serving.console.watching import WatchPages

STATUS: tuple[tuple[type[LaminaError], int], ...] = (
    *((missing, 404) for missing in (NoSuchCase, NoSuchReport, NotInRegistry)),
    (HeldByAnother, 409),
    (TooLate, 409),
    (PageTooLarge, 413),
)


@dataclass(frozen=True)
class Console:
    """The pages and who may see them."""

    people: People
    watching: WatchPages
    reviewing: ReviewPages
    showing: ReportPages

    def app(self) -> Starlette:
        """The application."""
        signing_in = SignInPages(self.people)
        return Starlette(
            routes=[
                *signing_in.routes(),
                *self.watching.routes(),
                *self.reviewing.routes(),
                *self.showing.routes(),
                Mount("/static", StaticFiles(directory=FOLDER / "static"), name="static"),
            ],
            middleware=[Middleware(Door, people=self.people)],
            exception_handlers={HTTPException: _http, LaminaError: _own},
        )


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _told(request, error.status_code, error.detail)


def _own(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 503)
    return _told(request, status, str(error))


def _told(request: Request, status: int, text: str) -> Response:
    metrics.CONSOLE_ERRORS.labels(str(status)).inc()
    person = getattr(request.state, PERSON, None)
    return HTMLResponse(render("told.html", person=person, title=f"{status}", here="", text=text), status)
