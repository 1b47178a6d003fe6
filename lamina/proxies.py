"""Proxies are for what is far away: nothing on this machine is ever asked through one.

Most clients (urllib, requests and with it MLflow, httpx and with it Airflow) take a proxy from `HTTP_PROXY`,
`HTTPS_PROXY` or `ALL_PROXY` for every address that `NO_PROXY` does not name, the loopback address included.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping, MutableMapping
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYTHING = "*"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
EXCEPTIONS = ("no_proxy", "NO_PROXY")

_directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def exceptions(env: Mapping[str, str], hosts: Iterable[str] = LOOPBACK) -> dict[str, str]:
    """`NO_PROXY` in both spellings, with `hosts` added to what it names; nothing where `env` has no proxy.

    >>> exceptions({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": ".corp"})["no_proxy"]
    '.corp,127.0.0.1,localhost,::1'
    """
    if not any(value for name, value in env.items() if name.lower() in PROXIES):
        return {}
    named = [host.strip() for name in EXCEPTIONS for host in env.get(name, "").split(",") if host.strip()]
    # urllib knows the star only where it stands alone.
    text = EVERYTHING if EVERYTHING in named else ",".join(dict.fromkeys([*named, *hosts]))
    return dict.fromkeys(EXCEPTIONS, text)


def spare_this_machine(env: MutableMapping[str, str]) -> None:
    """Make `env`, a process's own or one for a child, lead to this machine without a proxy."""
    env.update(exceptions(env))


def is_here(url: str) -> bool:
    """Whether `url` leads to this machine by a loopback name.

    >>> is_here("http://127.0.0.1:8080"), is_here("http://airflow:8080")
    (True, False)
    """
    return urlsplit(url).hostname in LOOPBACK


def open_url(request: urllib.request.Request, timeout_s: float) -> bytes:
    """What a server answers; one on this machine is asked directly, others as the environment says.

    Raises: OSError: when it does not answer, or not with success.
    """
    # One made now: `urlopen` keeps the proxies that it found when it was first called.
    opener = _directly if is_here(request.full_url) else urllib.request.build_opener()
    with opener.open(request, timeout=timeout_s) as response:
        body: bytes = response.read()
    return body
