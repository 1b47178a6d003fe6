"""A circuit breaker: when nothing has succeeded for a while, callers are told at once instead of each waiting."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Closed: everyone may try. Open, after `failures` in a row over at least `over_s`: one every `rest_s` may try.

    The span keeps a short stall, which fails everything in flight at that moment, from turning callers away afterwards.

    >>> breaker = Breaker(failures=1, over_s=0, rest_s=60)
    >>> breaker.failed()
    >>> breaker.may_try()
    False
    """

    def __init__(
        self, *, failures: int, over_s: float, rest_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._over_s, self._rest_s, self._now = failures, over_s, rest_s, monotonic
        self._failed = 0
        self._first_s = 0.0
        self._next_try_s = 0.0
        self.is_open = False

    def may_try(self) -> bool:
        """Whether the caller may try now; who may must report `succeeded` or `failed`."""
        if not self.is_open:
            return True
        if self._now() < self._next_try_s:
            return False
        self._next_try_s = self._now() + self._rest_s
        return True

    def succeeded(self) -> None:
        """Everyone may try again."""
        self._failed, self.is_open = 0, False

    def failed(self) -> None:
        """Count a failure; with enough of them over enough time nobody but the occasional caller may try."""
        now = self._now()
        if not self._failed:
            self._first_s = now
        self._failed += 1
        if self._failed >= self._limit and now - self._first_s >= self._over_s:
            self.is_open = True
            self._next_try_s = now + self._rest_s
