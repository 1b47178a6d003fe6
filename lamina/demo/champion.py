"""Which version the API of a demo serves, asked from outside."""

from __future__ import annotations

import time

import httpx

from lamina.demo.posting import DemoError
from lamina.settings import Settings

TIMEOUT_S = 120.0
POLL_S = 1.0


def api_url(settings: Settings) -> str:
    """Where requests are posted."""
    return f"http://{settings.api_host}:{settings.api_port}"


def wait_for_version(settings: Settings, system: str, wanted: str | None = None) -> str:
    """The version that the API serves of `system`, once it is the one `wanted`, or any.

    Raises: DemoError: when that does not come, or the API does not serve the system.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        answer = httpx.get(f"{api_url(settings)}/health/ready", timeout=10)
        found = answer.json()["dependencies"].get(f"model of {system}")
        if found is None:
            raise DemoError(f"the API serves no {system}: is there a serving/systems/{system}?")
        if found["version"] and wanted in (None, found["version"]):
            return str(found["version"])
        time.sleep(POLL_S)
    raise DemoError(f"the API serves no {'model' if wanted is None else f'version {wanted}'} after {TIMEOUT_S:.0f} s")
