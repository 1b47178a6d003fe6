"""The circuit breaker by a clock of the test's own."""

from __future__ import annotations

from serving.stages.breaker import Breaker


def test_opens_rests_and_lets_one_try() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, over_s=5, rest_s=10, monotonic=lambda: now[0])
    breaker.failed()
    assert breaker.may_try()
    now[0] = 5.0
    breaker.failed()
    assert not breaker.may_try()
    now[0] = 14.9
    assert not breaker.may_try()
    now[0] = 15.0
    assert breaker.may_try()
    assert not breaker.may_try()  # the one that may is still trying
    breaker.failed()
    now[0] = 24.9
    assert not breaker.may_try()
    now[0] = 25.0
    assert breaker.may_try()
    breaker.succeeded()
    assert breaker.may_try() and breaker.may_try()


def test_a_stall_that_fails_many_at_once_does_not_open_it() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, over_s=5, rest_s=10, monotonic=lambda: now[0])
    for _ in range(100):
        breaker.failed()
    assert breaker.may_try()
    now[0] = 4.9
    breaker.failed()
    assert breaker.may_try()
    now[0] = 5.0
    breaker.failed()
    assert not breaker.may_try()


def test_a_success_forgets_failures() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, over_s=1, rest_s=10, monotonic=lambda: now[0])
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
        now[0] += 2
    assert breaker.may_try()
