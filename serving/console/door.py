"""What stands before every page of the console: who is not signed in is sent to sign in, and each form to where it came
from. Every answer says that nothing from elsewhere is to be loaded, and that it is not to be kept.
"""

from __future__ import annotations

from hmac import compare_digest
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.console.people import People, Person
from serving.middleware.access import OWN_DOOR
from serving.middleware.bodies import replayed

ROOT = OWN_DOOR
SIGN_IN = "/sign-in"
STATIC = "/static/"
FORM_TOKEN = "form_token"
PERSON = "console_person"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Door:
    """Lets in who is signed in; everybody to where one signs in, and to the files of the pages."""

    def __init__(self, app: ASGIApp, people: People) -> None:
        self._app, self._people = app, people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        is_file = path.startswith(STATIC) and ".." not in path

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    # A page that others wrote has a stricter policy of its own.
                    headers.setdefault(name, value)
                headers["Cache-Control"] = "max-age=3600" if is_file else "no-store"
            await send(message)

        person = self._people.person(HTTPConnection(scope))
        scope.setdefault("state", {})[PERSON] = person
        if scope["method"] == "POST":
            receive, refusal = await self._checked(scope, receive, person, path)
            if refusal is not None:
                await refusal(scope, receive, send_guarded)
                return
        elif person is None and path != SIGN_IN and not is_file:
            await _to_sign_in(scope)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    async def _checked(
        self, scope: Scope, receive: Receive, person: Person | None, path: str
    ) -> tuple[Receive, Response | None]:
        """The body, to be read once more, and what is answered instead where the form is not one of ours."""
        request = Request(scope, receive)
        if scope["headers"] and request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return receive, PlainTextResponse("This form came from another site.", 403)
        if path == SIGN_IN:
            return receive, None
        if person is None:
            return receive, _to_sign_in(scope)
        body = await request.body()
        form = await Request(scope, replayed(body, receive)).form()
        given = str(form.get(FORM_TOKEN, ""))
        if not compare_digest(given.encode(), person.form_token.encode()):
            return receive, PlainTextResponse("This form is not of your session: load the page again.", 403)
        return replayed(body, receive), None


def _to_sign_in(scope: Scope) -> Response:
    asked = scope["path"] if scope["method"] == "GET" else ROOT
    if HTTPConnection(scope).headers.get("hx-request") == "true":
        # A part of a page: the whole page is to go there.
        return Response(status_code=401, headers={"HX-Redirect": f"{ROOT}{SIGN_IN}"})
    return RedirectResponse(f"{ROOT}{SIGN_IN}?to={quote(asked, safe='')}", 303)
