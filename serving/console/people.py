"""Who is signed in to the console, as what, and for how long: by the API keys, or without any by being on this machine.

The cookie holds a name, what tells its key from others, and a number, signed. What its bearer may do is looked up in
the keys with each request, so that a key that is taken away, or replaced under its name, ends its sessions.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any, Literal

from cachetools import TTLCache
from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from starlette.requests import HTTPConnection

from lamina.monitoring import metrics
from lamina.reviews.cases import ANALYST
from lamina.settings import Settings
from serving.middleware.access import is_local
from serving.middleware.keys import ApiKey, Bucket

Role = Literal["viewer", "analyst", "operator"]
COOKIE = "lamina_console"
SECRET_FILE = "console.secret"
NAME = r"[a-z][a-z0-9_-]{0,63}"
TRIES, TRY_EVERY_S = 10, 6.0
"""Attempts to sign in that an address has at once, and after how long it has one more."""
ADDRESSES = 10_000
DIGITS = 16
"""Of a key's SHA-256 in a session."""


def role_of(key: ApiKey) -> Role | None:
    """What the bearer of a key is in the console: who may administer an operator, whose word is an analyst's an
    analyst, who has the console's own scope a viewer.
    """
    if "admin" in key.scopes:
        return "operator"
    if "feedback" in key.scopes and ANALYST in key.label_sources:
        return "analyst"
    return "viewer" if "console" in key.scopes else None


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in. `form_token` goes with everything that he sends."""

    name: str
    role: Role
    form_token: str

    @property
    def reviews(self) -> bool:
        """Whether he decides on cases."""
        return self.role != "viewer"

    @property
    def senior(self) -> bool:
        """Whether escalated cases are for him."""
        return self.role == "operator"


class Refused(Exception):
    """Somebody could not sign in; the text is for him."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(text)


class People:
    """Signs people in, and knows them again.

    Args: keys: None where there are no keys: then this machine alone is let in, as an operator under any name; secret:
    gives what sessions are signed with, when the first is asked for.
    """

    def __init__(
        self,
        keys: tuple[ApiKey, ...] | None,
        secret: Callable[[], str],
        session_s: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.has_keys, self.session_s, self._now = keys is not None, session_s, monotonic
        self._keys = {key.name: key for key in keys or ()}
        self._secret = secret
        self._tries: TTLCache[str, Bucket] = TTLCache(ADDRESSES, TRIES * TRY_EVERY_S)

    @cached_property
    def _sessions(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret(), salt="console-session")

    @cached_property
    def _forms(self) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret(), salt="console-form")

    def sign_in(self, connection: HTTPConnection, key: str, name: str) -> str:
        """The cookie of a new session.

        Raises: Refused: too many tries, an unknown key, or one without a right to the console.
        """
        self._count_try(connection)
        found = self._entered(connection, key, name)
        metrics.SIGN_INS.labels("let in").inc()
        return self._sessions.dumps([found, self._key_of(found), secrets.token_urlsafe(12)])

    def person(self, connection: HTTPConnection) -> Person | None:
        """Who sends this, or None."""
        with suppress(BadData, ValueError, TypeError):
            name, key, number = self._sessions.loads(connection.cookies.get(COOKIE, ""), max_age=self.session_s)
            role = self._role(connection, name)
            if role is not None and compare_digest(key, self._key_of(name)):
                return Person(name, role, str(self._forms.dumps([name, number])))
        return None

    def _role(self, connection: HTTPConnection, name: str) -> Role | None:
        if not self.has_keys:
            return "operator" if is_local(connection.scope) else None
        return role_of(self._keys[name]) if name in self._keys else None

    def _key_of(self, name: str) -> str:
        """What tells the key of this name from the one before it; nothing where there are no keys."""
        return self._keys[name].sha256[:DIGITS] if self.has_keys else ""

    def _entered(self, connection: HTTPConnection, key: str, name: str) -> str:
        if not self.has_keys:
            if is_local(connection.scope):
                return name
            metrics.SIGN_INS.labels("refused").inc()
            raise Refused(403, "Without a file of API keys only this machine is let in.")
        digest, found = sha256(key.encode()).hexdigest(), None
        # All of them, each in constant time: how long it takes tells nothing of which was nearly right.
        for each in self._keys.values():
            if compare_digest(each.sha256, digest):
                found = each
        if found is None:
            metrics.SIGN_INS.labels("refused").inc()
            raise Refused(401, "No key that is known here.")
        if role_of(found) is None:
            metrics.SIGN_INS.labels("refused").inc()
            raise Refused(
                403,
                "This key has no right to the console: it needs the scope console or admin, or feedback as an analyst.",
            )
        return found.name

    def _count_try(self, connection: HTTPConnection) -> None:
        address = connection.client.host if connection.client else ""
        bucket: Any = self._tries.get(address)
        if bucket is None:
            bucket = Bucket(per_second=1 / TRY_EVERY_S, burst=TRIES, monotonic=self._now)
        # Written again, so that it does not leave while somebody tries.
        self._tries[address] = bucket
        if wait_s := bucket.take():
            metrics.SIGN_INS.labels("too often").inc()
            raise Refused(429, f"Too many tries: come again in {math.ceil(wait_s)} seconds.")


def console_secret(settings: Settings) -> str:
    """What sessions are signed with: the setting, or what is made once in the stack's folder, for its owner alone."""
    if settings.console_secret is not None:
        return settings.console_secret.get_secret_value()
    file: Path = settings.stack_dir / SECRET_FILE
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        own = file.with_name(f".{SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        own.touch(mode=0o600)
        own.write_text(secrets.token_urlsafe(48))
        # Of two processes that start at once one is first, and both read its secret.
        with suppress(FileExistsError):
            os.link(own, file)
        own.unlink()
    return file.read_text()
