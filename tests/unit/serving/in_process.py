"""An application asked in this process by a client that does not know of event loops."""

from __future__ import annotations

import asyncio

import httpx
from fastapi import FastAPI


class InProcess(httpx.BaseTransport):
    """Carries requests to `app`, whose lifespan is not run."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app)) as client:
                return await client.send(request)

        found = asyncio.run(ask())
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)
