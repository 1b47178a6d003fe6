"""The HTTP API: `python -m serving.app`. Settings are read here, once."""

from __future__ import annotations

import uvicorn

from lamina.settings import load_settings
from serving.bootstrap import make_app, make_service
from serving.masking import log_json

GRACE_S = 10


def main() -> None:
    """Serve until a signal; requests in flight are answered and queued events delivered before the end."""
    log_json()
    settings = load_settings()
    uvicorn.run(
        make_app(make_service(settings)),
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http="httptools",
        # One line a request at hundreds a second helps nobody; failures are logged by the middleware.
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


if __name__ == "__main__":
    main()
