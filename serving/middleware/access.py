"""Who needs which right for which path, and which requests come from this machine. What is not listed is denied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from starlette.routing import BaseRoute
from starlette.types import Scope

from lamina.addresses import is_loopback
from lamina.definitions import system_names
from lamina.errors import LaminaError

Right = Literal["decide", "feedback", "admin", "metrics", "console"]
"""`console` is for no path: who has it may look at the pages of `OWN_DOOR`."""
# The first that fits decides.
RIGHTS: tuple[tuple[str, Right], ...] = (
    *((f"/{system}/labels", "feedback") for system in system_names()),
    *((f"/{system}", "decide") for system in system_names()),
    ("/predict", "decide"),
    ("/feedback", "feedback"),
    ("/admin", "admin"),
    ("/metrics", "metrics"),
)
OPEN = frozenset({"/", "/health/live", "/health/ready", "/docs", "/openapi.json"})
"""Paths that everybody may ask for: the page that says what this is, its state, and its documentation."""
OPEN_FOLDER = "/docs/assets/"
OWN_DOOR = "/console"
"""What lies under it asks by itself who comes, with a session of its own: `serving/console/door.py`."""
UNLISTED: Right = "admin"
"""What a path needs that nobody thought of."""
LOCAL_RIGHTS = frozenset[Right]({"admin", "feedback", "metrics"})
"""Where there are no keys, for this machine alone."""

FORWARDED = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-envoy-external-address",
        b"true-client-ip",
        b"cf-connecting-ip",
        b"fastly-client-ip",
    }
)
X_FORWARDED = b"x-forwarded-"


class AccessError(LaminaError):
    """A route of which nobody said who may ask for it."""


def needed(path: str) -> Right | None:
    """The right that a request to `path` needs, None for what is open.

    >>> needed("/fraud/decisions/batch"), needed("/health/ready"), needed("/health"), needed("/metrics")
    ('decide', None, 'admin', 'metrics')
    >>> needed("/console/queue"), needed("/consoles"), needed("/console/../admin/models")
    (None, 'admin', 'admin')
    """
    if path in OPEN or path == OWN_DOOR or (path.startswith((OPEN_FOLDER, f"{OWN_DOOR}/")) and ".." not in path):
        return None
    return _stated(path) or UNLISTED


def _stated(path: str) -> Right | None:
    return next((right for prefix, right in RIGHTS if path == prefix or path.startswith(f"{prefix}/")), None)


def check_routes(routes: Iterable[BaseRoute]) -> None:
    """See that each route is open or says which right it needs.

    Raises: AccessError: names the first that does not.
    """
    for route in routes:
        path = str(getattr(route, "path", "?"))
        if path not in (*OPEN, OWN_DOOR) and not path.startswith(OPEN_FOLDER) and _stated(path) is None:
            file = f"{__name__.replace('.', '/')}.py"
            raise AccessError(f"the route {path} says not who may ask for it: add it to RIGHTS or OPEN in {file}")


def is_local(scope: Scope) -> bool:
    """Whether a request comes from this machine, and from nobody beyond it.

    The address is the socket's, which no client can choose. A proxy on this machine has the same one: it is told by the
    headers that it adds, by the name that its client asked for, or by HTTP/1.0, which proxies still speak and hardly a
    client does. Whoever adds such a header without a proxy only locks himself out. A name with a dot is somebody's
    domain: a page of his in a browser here asks for it.
    """
    client = scope.get("client")
    if client is None or not is_loopback(client[0]) or scope.get("http_version") == "1.0":
        return False
    for name, value in scope["headers"]:
        if name in FORWARDED or name.startswith(X_FORWARDED):
            return False
        if name == b"host" and not _is_own_name(value.decode("latin-1")):
            return False
    return True


def _is_own_name(host: str) -> bool:
    """Whether `host`, as a client wrote it, is a loopback address or a name without a domain.

    >>> [_is_own_name(host) for host in ("127.0.0.1:8000", "[::1]:8000", "localhost", "shop.example:8000", "10.0.0.1")]
    [True, True, True, False, False]
    """
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name) or ("." not in name and ":" not in name)
