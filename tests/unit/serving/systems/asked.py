"""Prints which paths the API has, and what it answers to a POST: `asked.py FOLDER PATH BODY`. Nothing is connected."""

import json
import sys
from pathlib import Path

import httpx

from lamina.registry.memory import MemoryRegistry
from lamina.settings import Settings
from serving.bootstrap import make_app, make_service
from tests.unit.serving.in_process import InProcess
from tests.unit.serving.recognisable import AsyncMemoryStore, KeptEvents


def main(folder: Path, path: str, body: str) -> None:
    """Ask once."""
    service = make_service(
        Settings(stack_dir=folder), registry=MemoryRegistry(folder / "registry"), store=AsyncMemoryStore()
    )
    kept = KeptEvents(folder)
    service.events.publish_all = kept.publish_all  # type: ignore[method-assign]
    app = make_app(service)
    with httpx.Client(transport=InProcess(app), base_url="http://127.0.0.1") as client:
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
    paths = sorted({str(getattr(route, "path", "")) for route in app.routes})
    json.dump(
        {
            "paths": paths,
            "sections": [section["name"] for section in app.openapi()["tags"]],
            "status": answer.status_code,
            "answer": answer.json(),
            "published": [topic for topic, _ in kept.kept],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
