"""The review queue and its cases, for analysts; who only looks sees them, and can do nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lamina.errors import LaminaError
from lamina.reviews import audit, reading
from lamina.reviews.cases import Case, Verdict, VerdictName
from lamina.reviews.queue import LONGEST_NOTE, ReviewQueue
from serving.console import sights
from serving.console.door import PERSON, ROOT
from serving.console.kept import Kept
from serving.console.people import Person
from serving.console.rendering import render
from serving.console.watching import page

log = logging.getLogger(__name__)

T = TypeVar("T")

TABLE = "what waits"
QUEUE_S, LAKE_S = 3.0, 60.0
SHOWN, MINE, SIMILAR, ENTRIES = 50, 5, 10, 20


@dataclass(frozen=True)
class ReviewPages:
    """The pages over `queue`.

    Args: lake: where events and labels of the past are; steps: where what is done with the queue is done, which waits
    for no look into the lake; kept: what the lake had.
    """

    queue: ReviewQueue
    lake: str
    steps: Kept
    kept: Kept

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/queue", self.waiting),
            Route("/queue/next", self.next, methods=["POST"]),
            Route("/cases/{case_id:int}", self.case, methods=["GET"]),
            Route("/cases/{case_id:int}/take", self.take, methods=["POST"]),
            Route("/cases/{case_id:int}/give-back", self.give_back, methods=["POST"]),
            Route("/cases/{case_id:int}/verdict", self.decide, methods=["POST"]),
            Route("/cases/{case_id:int}/undo", self.undo, methods=["POST"]),
        ]

    async def waiting(self, request: Request) -> Response:
        """What waits, and what this analyst said last."""
        person = _person(request)
        table = await self.steps.get(TABLE, QUEUE_S, self._table)
        mine = await self.steps.run(reading.decided_by, self.queue.database, person.name, MINE)
        content = render("queue.html", person=person, table=Markup(table), mine=mine, undoable=self._undoable)
        return page(request, "Review queue", "queue", content)

    def _table(self) -> str:
        """What waits, the same for all who look."""
        waits = reading.waiting(self.queue.database, most=SHOWN)
        return render("waiting.html", waiting=waits, now_ms=self.queue.clock())

    async def next(self, request: Request) -> Response:
        """The next case, now this analyst's."""
        return await self._next(_analyst(request))

    async def case(self, request: Request) -> Response:
        """Everything that is known of a case."""
        person, case_id = _person(request), request.path_params["case_id"]
        database = self.queue.database
        case = await self.steps.run(reading.case, database, case_id)
        similar = await self.steps.run(reading.similar, database, case, SIMILAR)
        truths = await self._found(("truths", case_id), lambda: sights.truths(self.lake, similar), {})
        events = await self._found(
            ("events", case_id), lambda: sights.recent_events(self.lake, case.system, case), ([], [])
        )
        entries = await self.steps.run(audit.entries, database, case_id=case_id, most=ENTRIES)
        done = request.query_params.get("done", "")
        before = await self.steps.run(reading.case, database, int(done)) if done.isdigit() and len(done) < 16 else None
        now_ms = self.queue.clock()
        values: dict[str, Any] = {
            "person": person,
            "case": case,
            "served": case.served,
            "is_mine": case.holder == person.name and (case.held_until or 0) > now_ms and case.state != "decided",
            "held": case.held_by_another(person.name, now_ms),
            "similar": similar,
            "truths": truths,
            "columns": events[0],
            "events": events[1],
            "entries": entries,
            "now_ms": now_ms,
            "before": before if before is not None and self._undoable(before, person) else None,
            "can_undo": self._undoable(case, person),
            "longest_note": LONGEST_NOTE,
        }
        return page(request, f"Case {case_id}", "queue", await self.steps.run(render, "case.html", **values))

    async def take(self, request: Request) -> Response:
        """This case, now this analyst's."""
        person, case_id = _analyst(request), request.path_params["case_id"]
        await self._do(self.queue.take_case, person.name, case_id, senior=person.senior)
        return _to_case(case_id)

    async def give_back(self, request: Request) -> Response:
        """The case is for others again."""
        await self._do(self.queue.give_back, _analyst(request).name, request.path_params["case_id"])
        return RedirectResponse(f"{ROOT}/queue", 303)

    async def decide(self, request: Request) -> Response:
        """What stands of the case, and on to the next."""
        person, case_id, form = _analyst(request), request.path_params["case_id"], await request.form()
        verdict = str(form.get("verdict", ""))
        if verdict not in get_args(VerdictName):
            raise HTTPException(422, f"A verdict is one of {', '.join(get_args(VerdictName))}.")
        said: Callable[..., Verdict] = self.queue.decide
        await self._do(said, person.name, case_id, verdict, str(form.get("note", "")), senior=person.senior)
        return await self._next(person, done=case_id)

    async def undo(self, request: Request) -> Response:
        """The case as it was, and this analyst's again."""
        person, case_id = _analyst(request), request.path_params["case_id"]
        await self._do(self.queue.undo, person.name, case_id)
        return _to_case(case_id)

    async def _do(self, step: Callable[..., T], *given: Any, **named: Any) -> T:
        """A step on the queue, which whoever did it is to see at once."""
        done = await self.steps.run(step, *given, **named)
        self.steps.drop(TABLE)
        return done

    async def _next(self, person: Person, done: int | None = None) -> Response:
        case = await self._do(self.queue.take, person.name, senior=person.senior)
        if case is None:
            return RedirectResponse(f"{ROOT}/queue", 303)
        return _to_case(case.case_id, done)

    async def _found(self, key: tuple[str, int], look: Callable[[], Any], nothing: Any) -> Any:
        """What the lake has; where it cannot be read a case is decided on without."""
        try:
            return await self.kept.get(key, LAKE_S, look)
        except (LaminaError, OSError, ValueError) as error:
            log.warning("the %s of case %d cannot be read: %s", *key, error)
            return nothing

    def _undoable(self, case: Case, person: Person) -> bool:
        last = case.standing
        return last is not None and last.author == person.name and last.can_be_undone(self.queue.clock())


def _to_case(case_id: int, done: int | None = None) -> Response:
    return RedirectResponse(f"{ROOT}/cases/{case_id}" + ("" if done is None else f"?done={done}"), 303)


def _person(request: Request) -> Person:
    person: Person = getattr(request.state, PERSON)
    return person


def _analyst(request: Request) -> Person:
    person = _person(request)
    if not person.reviews:
        raise HTTPException(
            403, "Your key may look, and not decide: that needs the scope feedback as an analyst, or admin."
        )
    return person
