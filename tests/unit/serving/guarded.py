"""Routes as a client meets them: behind the check of keys, or without keys as this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI

from serving.masking import REQUEST_ID
from serving.middleware import errors
from serving.middleware.keys import KeyCheck, LocalAdmin, load_keys


def post_guarded(
    router: APIRouter, path: str, body: Any, *, keys: Path | None = None, key: str = "", client: str = "127.0.0.1"
) -> httpx.Response:
    app = FastAPI()
    app.include_router(router)
    errors.install(app)
    guarded = LocalAdmin(app) if keys is None else KeyCheck(app, load_keys(keys))

    async def ask() -> httpx.Response:
        REQUEST_ID.set("r")
        transport = httpx.ASGITransport(guarded, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api", headers={"X-API-Key": key}) as asking:
            return await asking.post(path, json=body)

    return asyncio.run(ask())
