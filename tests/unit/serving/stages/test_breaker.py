"""The circuit breaker by a clock of the test's own."""

from __future__ import annotations

from serving.stages.breaker import Breaker


def test_opens_rests_and_lets_one_try() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, rest_s=10, monotonic=lambda: now[0])
    breaker.failed()
    assert breaker.may_try()
    breaker.failed()
    assert not breaker.may_try()
    now[0] = 9.9
    assert not breaker.may_try()
    now[0] = 10.0
    assert breaker.may_try()
    assert not breaker.may_try()  # the one that may is still trying
    breaker.failed()
    now[0] = 19.9
    assert not breaker.may_try()
    now[0] = 20.0
    assert breaker.may_try()
    breaker.succeeded()
    assert breaker.may_try() and breaker.may_try()


def test_a_success_forgets_failures() -> None:
    breaker = Breaker(failures=2, rest_s=10)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.may_try()
