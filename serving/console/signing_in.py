"""Signing in and out."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from serving.console.door import PERSON, ROOT, SIGN_IN
from serving.console.people import COOKIE, NAME, People, Refused
from serving.console.rendering import render

LONGEST_KEY = 512


class SignInPages:
    """One page with one field: the key, or where there are none a name."""

    def __init__(self, people: People) -> None:
        self._people = people

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route(SIGN_IN, self.asked, methods=["GET"]),
            Route(SIGN_IN, self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def asked(self, request: Request) -> Response:
        """The form; who is signed in goes on."""
        to = _to(request.query_params.get("to", ""))
        return RedirectResponse(to, 303) if getattr(request.state, PERSON) is not None else self._form(to)

    async def sign_in(self, request: Request) -> Response:
        """A session, or the form again with what was wrong."""
        form = await request.form()
        to, key, name = (str(form.get(field, "")) for field in ("to", "key", "name"))
        if not self._people.has_keys and not re.fullmatch(NAME, name):
            return self._form(_to(to), "A name has small letters, digits, - and _, and begins with a letter.", 422)
        try:
            session = self._people.sign_in(request, key[:LONGEST_KEY], name)
        except Refused as refused:
            return self._form(_to(to), refused.text, refused.status)
        answer = RedirectResponse(_to(to), 303)
        answer.set_cookie(
            COOKIE,
            session,
            max_age=self._people.session_s,
            path=ROOT,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """No session."""
        answer = RedirectResponse(f"{ROOT}{SIGN_IN}", 303)
        answer.delete_cookie(COOKIE, path=ROOT, httponly=True, samesite="strict")
        return answer

    def _form(self, to: str, problem: str = "", status: int = 200) -> Response:
        values = {"person": None, "title": "Sign in", "here": "", "to": to, "has_keys": self._people.has_keys}
        return HTMLResponse(render("sign_in.html", **values, problem=problem), status)


def _to(asked: str) -> str:
    """Where to go on: a page of the console, whatever was asked.

    >>> _to("/console/queue"), _to("//elsewhere.example"), _to("/console/../admin")
    ('/console/queue', '/console/', '/console/')
    """
    return asked if re.fullmatch(rf"{ROOT}(/[a-z0-9-]+)*/?", asked) else f"{ROOT}/"
