"""The HTTP API: `python -m serving.app`. Settings are read here, once."""

from __future__ import annotations

import ssl
import sys
from contextlib import suppress
from typing import Any

import uvicorn

from lamina import entry
from lamina.settings import Settings, load_settings
from serving.bootstrap import make_app, make_service
from serving.masking import log_json
from serving.server import PatientServer, TimelyProtocol, raise_limit_of_descriptors

STARTUP_FAILURE = 3
KEEP_ALIVE_S = 75
"""How long an idle connection stays open: longer than clients keep theirs, or it would be closed now and then in the
moment in which a client sends its next request.
"""


def main() -> None:
    """Serve until a signal; requests in flight are answered and queued events delivered before the end."""
    log_json()
    raise_limit_of_descriptors()
    settings = load_settings()
    service = make_service(settings)
    config = uvicorn.Config(
        make_app(service),
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http=TimelyProtocol.within(settings.api_arrival_timeout_s),
        ws="none",
        # Whom a request comes from is what the socket says: a header may say anything.
        proxy_headers=False,
        # One line a request at hundreds a second helps nobody; failures are logged by the middleware.
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.api_stop_requests_s,
        **tls_options(settings),
    )
    server = PatientServer(config, leaving=service.leaving.begin, grace_s=settings.api_stop_grace_s)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def tls_options(settings: Settings) -> dict[str, Any]:
    """Uvicorn's options for TLS; none where no certificate is configured."""
    if settings.tls_certificate is None:
        return {}
    password, authority = settings.tls_key_password, settings.tls_client_ca
    return {
        "ssl_certfile": str(settings.tls_certificate),
        "ssl_keyfile": str(settings.tls_key),
        "ssl_keyfile_password": None if password is None else password.get_secret_value(),
        "ssl_ca_certs": None if authority is None else str(authority),
        "ssl_cert_reqs": ssl.CERT_NONE if authority is None else ssl.CERT_REQUIRED,
    }


if __name__ == "__main__":
    entry.run(main)
