"""A typed client of the API: `pip install lamina[client]`, or this repository's environment.

`with Client("http://127.0.0.1:8000") as lamina: lamina.fraud.decide(transaction)`
"""

from __future__ import annotations

from typing import Any

from lamina.client.calls import Sections
from lamina.client.session import ApiError, ApiUnreachable, Session

__all__ = ["ApiError", "ApiUnreachable", "Client"]


class Client(Sections):
    """The API's sections by name, such as `client.fraud`. Args: as of `Session`. Safe to use from several threads."""

    def __init__(self, url: str, **options: Any) -> None:
        self._session = Session(url, **options)
        super().__init__(self._session)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._session.close()
