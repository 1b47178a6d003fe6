"""What stands when rules, policy and chance have spoken."""

from __future__ import annotations

from lamina.contracts.fraud_decisions import Action
from lamina.rules.bands import Band
from lamina.rules.book import RuleBook
from lamina.rules.costs import Costs
from lamina.rules.passing import PassThrough
from lamina.rules.settle import Verdict, settle

BANDS = (Band(reject=0.8, review=0.6),)
COSTS = Costs(friction=10, review=4, review_finds=0.9)
TABLE = RuleBook(version="1", rules=(), risk=BANDS)
CHEAPEST = RuleBook(version="1", rules=(), risk=BANDS, policy="expected_cost", costs=COSTS)
LEAKY = RuleBook(version="1", rules=(), risk=BANDS, pass_through=PassThrough(share=0.2, salt="salt-for-tests"))
PASSED = next(f"t{i}" for i in range(100) if LEAKY.pass_through.drawn(f"t{i}"))
STOPPED = next(f"t{i}" for i in range(100) if not LEAKY.pass_through.drawn(f"t{i}"))


def verdict(
    book: RuleBook, score: float, *, ruled: Action = "approve", of: str = STOPPED, amount: float = 50.0
) -> Verdict:
    return settle(book, ruled, of, score, amount, calibrated=True)


def test_the_policy_is_named_and_its_costs_with_it() -> None:
    assert verdict(TABLE, 0.7)[:4] == ("review", verdict(TABLE, 0.7).reasons, "fixed_table", None)
    found = verdict(CHEAPEST, 0.7)
    assert (found.action, found.policy, found.reasons[0].code) == ("reject", "expected_cost", "cost_reject")
    assert found.costs == COSTS.expected(0.7, 50.0)
    assert verdict(CHEAPEST, 0.001).costs == COSTS.expected(0.001, 50.0)


def test_a_score_that_is_no_probability_is_left_to_the_table() -> None:
    found = settle(CHEAPEST, "approve", STOPPED, 0.7, 50.0, calibrated=False)
    assert (found.action, found.policy, found.costs) == ("review", "fixed_table", None)


def test_the_more_severe_of_rules_and_policy_stands() -> None:
    assert verdict(CHEAPEST, 0.0, ruled="review").action == "review"
    assert verdict(TABLE, 0.9, ruled="review").action == "reject"


def test_a_decline_may_be_let_through_and_says_so() -> None:
    let, kept = verdict(LEAKY, 0.9, of=PASSED), verdict(LEAKY, 0.9, of=STOPPED)
    assert (let.action, let.intended, let.propensity) == ("approve", "reject", 0.2)
    assert [reason.code for reason in let.reasons] == ["score_reject", "passed_through"]
    assert (kept.action, kept.intended, kept.propensity) == ("reject", None, 0.8)


def test_what_a_rule_rejects_is_never_let_through() -> None:
    found = verdict(LEAKY, 0.9, ruled="reject", of=PASSED)
    assert (found.action, found.intended, found.propensity) == ("reject", None, None)


def test_what_a_rule_wants_reviewed_still_is() -> None:
    assert verdict(LEAKY, 0.9, ruled="review", of=PASSED).action == "review"


def test_a_large_decline_is_none_that_chance_lets_through() -> None:
    """`below` is held against the payment's amount: what it lets through is bounded by it."""
    small = PassThrough(share=0.2, salt="salt-for-tests", below=100.0)
    book = RuleBook(version="1", rules=(), risk=BANDS, pass_through=small)
    assert verdict(book, 0.9, of=PASSED, amount=99.99).intended == "reject"
    found = verdict(book, 0.9, of=PASSED, amount=100.0)
    assert (found.action, found.intended, found.propensity) == ("reject", None, None)


def test_chance_has_no_say_in_reviews_and_approvals() -> None:
    for given in (0.1, 0.7):
        assert verdict(LEAKY, given, of=PASSED).propensity is None
