"""API keys: who may do what, and how often. Only in the way of requests where a file of keys is configured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from starlette.types import ASGIApp, Receive, Scope, Send

from lamina.contracts.transactions import LabelSource
from lamina.definitions import records
from lamina.errors import LaminaError
from lamina.monitoring import metrics
from lamina.yaml_files import YamlNumber, YamlWhole, read_yaml, sentence
from serving.middleware.access import LOCAL_RIGHTS, Right, is_local, needed
from serving.middleware.errors import RETRY_AFTER_S, problem

HEADER = b"x-api-key"
EVERY_SOURCE: frozenset[str] = frozenset(get_args(LabelSource)).union(*(each.feedback_sources for each in records()))
"""Everyone whose word a label or feedback can be, of any system."""
LEAST_SOURCE = frozenset({"customer", "user"})
SOURCES = "label_sources"
"""Name in a request's state of the sources that its client may claim for a label; absent: none."""
CLIENT = "client_name"
"""Name in a request's state of the name of the key that it came by; absent: there are no keys."""


class KeysError(LaminaError):
    """A file of keys that cannot be right; the message names the file and the place, and never repeats a key."""


class ApiKey(BaseModel):
    """One client's key. The file has its SHA-256, so that who reads the file cannot use it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    scopes: frozenset[Right] = Field(min_length=1)
    sources: frozenset[str] | None = Field(
        None,
        min_length=1,
        description="Whose word its labels and feedback may be; by default that of customers and users, of an admin's "
        "anyone's.",
    )
    per_second: YamlNumber | None = Field(None, gt=0, description="Requests a second in the long run; none: unlimited.")
    burst: YamlWhole | None = Field(
        None, ge=1, description="Requests that may come at once; a second's worth by default."
    )
    at_once: YamlWhole | None = Field(
        None, ge=1, description="Requests under way at once, those whose body arrives among them; none: unlimited."
    )

    @field_validator("sources")
    @classmethod
    def _are_of_a_record(cls, sources: frozenset[str] | None) -> frozenset[str] | None:
        if sources is not None and (unknown := sorted(sources - EVERY_SOURCE)):
            raise ValueError(f"nobody knows {', '.join(unknown)}: there are {', '.join(sorted(EVERY_SOURCE))}")
        return sources

    @model_validator(mode="after")
    def _has_a_rate(self) -> ApiKey:
        if self.burst is not None and self.per_second is None:
            raise ValueError("burst needs per_second")
        return self

    @model_validator(mode="after")
    def _has_labels_to_send(self) -> ApiKey:
        if self.sources is not None and "feedback" not in self.scopes:
            raise ValueError("sources needs the scope feedback")
        return self

    @property
    def label_sources(self) -> frozenset[str]:
        """Sources that its labels may claim."""
        if self.sources is not None:
            return self.sources
        return EVERY_SOURCE if "admin" in self.scopes else LEAST_SOURCE


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: tuple[ApiKey, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> _KeyFile:
        for field in ("name", "sha256"):
            values = [getattr(key, field) for key in self.keys]
            if len(set(values)) < len(values):
                raise ValueError(f"two keys have the same {field}")
        return self


def load_keys(file: Path) -> tuple[ApiKey, ...]:
    """The keys in `file`.

    Raises: KeysError: for anything that cannot be right.
    """
    content = read_yaml(file, KeysError)
    try:
        return _KeyFile.model_validate(content).keys
    except ValidationError as error:
        found = error.errors(include_url=False)
        sentences = [f"{'.'.join(str(part) for part in each['loc']) or 'file'}: {sentence(each)}" for each in found]
        raise KeysError(f"{file}: {'; '.join(sentences)}") from None


class Bucket:
    """A token bucket: `burst` requests at once, `per_second` in the long run.

    >>> bucket = Bucket(per_second=2, burst=1, monotonic=lambda: 0.0)
    >>> bucket.take(), bucket.take()
    (0.0, 0.5)
    """

    def __init__(self, *, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate, self._burst, self._now = per_second, burst, monotonic
        self._left, self._at_s = float(burst), monotonic()

    def take(self) -> float:
        """0 when a request may go on, else the seconds until one may."""
        now = self._now()
        self._left = min(self._burst, self._left + (now - self._at_s) * self._rate)
        self._at_s = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0


class KeyCheck:
    """Answers 401 without a known key, 403 without the right, 429 with `Retry-After` beyond what the key may.

    Args: open_metrics: whether everybody may read the metrics; this machine always may.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: tuple[ApiKey, ...],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        open_metrics: bool = False,
    ) -> None:
        self._app, self._open_metrics = app, open_metrics
        self._keys = [(key.sha256.encode(), key) for key in keys]
        self._under_way = {key.name: 0 for key in keys if key.at_once is not None}
        self._buckets = {
            key.name: Bucket(
                per_second=key.per_second, burst=key.burst or math.ceil(key.per_second), monotonic=monotonic
            )
            for key in keys
            if key.per_second is not None
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await _only_lifespan(self._app, scope, receive, send)
            return
        right = needed(scope["path"])
        if right is None or (right == "metrics" and (self._open_metrics or is_local(scope))):
            await self._app(scope, receive, send)
            return
        key = self._known(next((value for name, value in scope["headers"] if name == HEADER), b""))
        if key is None:
            metrics.KEYS_REFUSED.labels("unknown").inc()
            await problem(401, "unauthorized")(scope, receive, send)
            return
        if right not in key.scopes:
            metrics.KEYS_REFUSED.labels(key.name).inc()
            await problem(403, "forbidden")(scope, receive, send)
            return
        if key.at_once is not None and self._under_way[key.name] >= key.at_once:
            metrics.CONCURRENCY_LIMITED.labels(key.name).inc()
            await problem(429, "too_many_at_once", retry_after_s=RETRY_AFTER_S)(scope, receive, send)
            return
        bucket = self._buckets.get(key.name)
        if bucket is not None and (wait_s := bucket.take()):
            metrics.RATE_LIMITED.labels(key.name).inc()
            await problem(429, "too_many_requests", retry_after_s=math.ceil(wait_s))(scope, receive, send)
            return
        if right == "feedback":
            scope.setdefault("state", {}).update({SOURCES: key.label_sources, CLIENT: key.name})
        if key.at_once is None:
            await self._app(scope, receive, send)
            return
        self._under_way[key.name] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[key.name] -= 1

    def _known(self, given: bytes) -> ApiKey | None:
        digest = sha256(given).hexdigest().encode()
        found = None
        # All of them, each in constant time: how long it takes tells nothing of which was nearly right.
        for known, key in self._keys:
            if compare_digest(known, digest):
                found = key
        return found


class LocalAdmin:
    """Without keys, only this machine may administer, send labels and read metrics: 403 to others.

    Args: open_metrics: whether everybody may read the metrics.
    """

    def __init__(self, app: ASGIApp, *, open_metrics: bool = False) -> None:
        self._app, self._open_metrics = app, open_metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await _only_lifespan(self._app, scope, receive, send)
            return
        right = needed(scope["path"])
        if right in LOCAL_RIGHTS and not (right == "metrics" and self._open_metrics):
            if not is_local(scope):
                await problem(403, "forbidden")(scope, receive, send)
                return
            scope.setdefault("state", {})[SOURCES] = EVERY_SOURCE
        await self._app(scope, receive, send)


async def _only_lifespan(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The application's own start and end pass; any other kind of connection has no rights stated."""
    if scope["type"] == "lifespan":
        await app(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
