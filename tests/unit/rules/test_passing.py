"""Who is let through: a share, always the same ones, and never without a salt."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lamina.rules.passing import PassThrough

SALT = "salt-for-tests"


def test_the_share_is_let_through_and_stays() -> None:
    passing = PassThrough(share=0.05, salt=SALT)
    ids = [f"txn-{i}" for i in range(20_000)]
    drawn = [i for i in ids if passing.drawn(i)]
    assert 0.045 < len(drawn) / len(ids) < 0.055  # 3.2 standard deviations
    assert drawn == [i for i in ids if PassThrough(share=0.05, salt=SALT).drawn(i)]


def test_a_larger_share_keeps_those_of_the_smaller_and_another_salt_draws_anew() -> None:
    small, large = PassThrough(share=0.02, salt=SALT), PassThrough(share=0.1, salt=SALT)
    other = PassThrough(share=0.02, salt="another-salt")
    ids = [f"txn-{i}" for i in range(5_000)]
    drawn = {i for i in ids if small.drawn(i)}
    assert drawn < {i for i in ids if large.drawn(i)}
    assert drawn != {i for i in ids if other.drawn(i)}


def test_nobody_by_default() -> None:
    assert not PassThrough().eligible(1.0)
    assert not any(PassThrough().drawn(f"txn-{i}") for i in range(100))


def test_amounts_above_the_limit_are_not_for_chance() -> None:
    passing = PassThrough(share=0.1, salt=SALT, below=500)
    assert (passing.eligible(499.99), passing.eligible(500.0)) == (True, False)


@pytest.mark.parametrize("wrong", [{"share": 0.01}, {"share": 0.01, "salt": "short"}, {"share": 0.5, "salt": SALT}])
def test_slips_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PassThrough.model_validate(wrong)


def test_the_salt_is_not_shown() -> None:
    assert SALT not in repr(PassThrough(share=0.1, salt=SALT))
