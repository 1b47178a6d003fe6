"""Pages that reports brought along: of the lake, and Evidently's among the artefacts of a version.

What is in them others wrote. Each is shown in a sandbox of an origin of its own: it sends no cookie, reads no other
page and sends no form. Evidently's is a program, so it may run what it holds, and load nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from lamina.lake.report_pages import HEADERS, read_page
from lamina.monitoring.drift.report import PAGE
from lamina.registry.protocol import ModelRegistry
from serving.console.kept import Kept

OF_TOPICS = "quality"
"""The folder whose reports are of topics, which systems share; those of all others are of one system."""
SANDBOXED = {
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'"
}


@dataclass(frozen=True)
class ReportPages:
    """The pages. Nothing of them is kept: one may be some megabytes. Args: systems: names of those served."""

    lake: str
    registry: ModelRegistry
    systems: Sequence[str]
    kept: Kept

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/reports/{folder:path}", self.of_lake),
            Route(f"/versions/{{system}}/{{version:int}}/{PAGE}", self.of_version),
        ]

    async def of_lake(self, request: Request) -> Response:
        """The page of a report in the lake, of a topic or of a system that is served here."""
        folder = request.path_params["folder"]
        kind, _, whose = folder.partition("/")
        if kind != OF_TOPICS and whose.partition("/")[0] not in self.systems:
            raise HTTPException(404, "There is no such report of a system that is served here.")
        found = await self.kept.run(read_page, self.lake, folder)
        return Response(found.content, media_type=found.media_type, headers=HEADERS)

    async def of_version(self, request: Request) -> Response:
        """Evidently's page of what drifted while a version served."""
        system, version = request.path_params["system"], str(request.path_params["version"])
        if system not in self.systems:
            raise HTTPException(404, f"{system} is not served here.")
        return HTMLResponse(await self.kept.run(self.registry.read, system, version, PAGE), headers=SANDBOXED)
