"""A circuit breaker: after some failures in a row, callers are told at once instead of each waiting for a timeout."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Closed: everyone may try. Open, after `failures` in a row: nobody, for `rest_s`; then one may, and decides.

    >>> breaker = Breaker(failures=1, rest_s=60)
    >>> breaker.failed()
    >>> breaker.may_try()
    False
    """

    def __init__(self, *, failures: int, rest_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._rest_s, self._now = failures, rest_s, monotonic
        self._failed = 0
        self._closed_until_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether callers are being turned away."""
        return self._failed >= self._limit

    def may_try(self) -> bool:
        """Whether the caller may try now; who may must report `succeeded` or `failed`."""
        if not self.is_open:
            return True
        if self._now() < self._closed_until_s:
            return False
        self._closed_until_s = self._now() + self._rest_s
        return True

    def succeeded(self) -> None:
        """Everyone may try again."""
        self._failed = 0

    def failed(self) -> None:
        """Count a failure; at the limit nobody may try for a while."""
        self._failed += 1
        if self.is_open:
            self._closed_until_s = self._now() + self._rest_s
