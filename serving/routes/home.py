"""The first page, and the documentation with everything that it needs: nothing is loaded from elsewhere.

A browser is led from the first page to the console; a program reads what there is to ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from serving.middleware.access import OWN_DOOR

ADMIN = "admin"
"""The tag of the routes for operators."""
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}


PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title><link rel="icon" href="docs/assets/favicon-32x32.png">
<style>body {{ font: 16px/1.5 sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color: #222 }}
code {{ background: #f2f2f2; padding: .1rem .3rem }} td {{ padding: .2rem 1rem .2rem 0; vertical-align: top }}
</style></head>
<body>
<h1>{title} {version}</h1>
<p>{about}, on the features of now.</p>
<table>
<tr><td><a href="console/sign-in">/console</a></td><td>for people: systems, and answers that wait for a review</td></tr>
<tr><td><a href="docs">/docs</a></td><td>every route and field, with examples to try</td></tr>
<tr><td><a href="openapi.json">/openapi.json</a></td><td>the same for programs</td></tr>
<tr><td><a href="health/ready">/health/ready</a></td><td>whether it is ready, and how what it depends on does</td></tr>
<tr><td><a href="metrics">/metrics</a></td><td>for Prometheus; from this machine, or with a key</td></tr>
</table>
<p>What can be asked for, each by a <code>POST</code>:</p>
<table>
{asked}
</table>
<p>Where keys are in use, each goes with the header <code>X-API-Key</code>.</p>
</body></html>
"""


def home_router(title: str, version: str, about: str, routes: Sequence[BaseRoute]) -> APIRouter:
    """`/`, `/docs` and the files of the latter.

    Args: about: what the API gives, without a full stop; routes: those that the page names, as far as they are for
    clients.
    """
    router = APIRouter(include_in_schema=False)
    page = PAGE.format(title=escape(title), version=escape(version), about=escape(about), asked=_asked(routes))

    @router.get("/")
    async def home(request: Request) -> Response:
        """What this is, and where to go on; who looks with a browser goes on to the console."""
        to_look = _asks_for_html(request.headers.get("accept", ""))
        answer = RedirectResponse(f"{OWN_DOOR}/", 303) if to_look else HTMLResponse(page)
        # The same address has two answers: what stands between is not to give one for the other.
        answer.headers["Vary"] = "Accept"
        return answer

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        """The routes, to read and to try."""
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{title}: documentation",
            swagger_js_url="docs/assets/swagger-ui-bundle.js",
            swagger_css_url="docs/assets/swagger-ui.css",
            swagger_favicon_url="docs/assets/favicon-32x32.png",
        )

    @router.get("/docs/assets/{name}")
    def asset(name: str) -> Response:
        """A file of the documentation; those of a fixed list."""
        if name not in ASSETS:
            raise HTTPException(404)
        return Response(_asset(name), media_type=ASSETS[name], headers={"Cache-Control": "max-age=3600"})

    return router


def _asks_for_html(accept: str) -> bool:
    """Whether HTML is named among what is accepted, as browsers do; `*/*` of a program is no such name.

    >>> _asks_for_html("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"), _asks_for_html("Text/HTML; charset=utf-8")
    (True, True)
    >>> _asks_for_html("*/*"), _asks_for_html("application/json, text/html-sandboxed"), _asks_for_html("")
    (False, False, False)
    """
    return any(part.partition(";")[0].strip().lower() == "text/html" for part in accept.split(","))


def _asked(routes: Sequence[BaseRoute]) -> str:
    """A row for each route that clients post to."""
    posted = (route for route in routes if isinstance(route, APIRoute) and "POST" in route.methods)
    rows = ((route.path, route.summary or route.name) for route in posted if ADMIN not in route.tags)
    return "\n".join(f"<tr><td><code>{escape(path)}</code></td><td>{escape(what)}</td></tr>" for path, what in rows)


@cache
def _asset(name: str) -> bytes:
    return (files("fastapi_swagger") / "resources" / name).read_bytes()
