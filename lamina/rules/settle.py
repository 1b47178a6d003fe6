"""From a score to what is asked for, by the policy that the rules file chooses, beside what the rules ask. Hot path."""

from __future__ import annotations

from typing import NamedTuple

from lamina.contracts.fraud_decisions import Action, Policy
from lamina.contracts.reasons import Reason
from lamina.rules.bands import assess, most_severe
from lamina.rules.book import EXPECTED_COST, FIXED_TABLE, RuleBook
from lamina.rules.costs import ExpectedCosts, choose


class Verdict(NamedTuple):
    """What stands once rules and score have spoken, and by whose word.

    `costs` are those the policy weighed. `intended` is what would have stood had chance not let the payment pass;
    `propensity` is the probability of `action` where chance had a say.
    """

    action: Action
    reasons: tuple[Reason, ...] = ()
    policy: Policy | None = None
    costs: ExpectedCosts | None = None
    intended: Action | None = None
    propensity: float | None = None


APPROVED = Verdict("approve", (), FIXED_TABLE)
"""What nearly all payments get."""


def settle(
    book: RuleBook, ruled: Action, transaction_id: str, score: float, amount: float, *, calibrated: bool
) -> Verdict:
    """The verdict on a payment, of which the rules ask `ruled` and which the model gives `score`.

    A policy that needs probabilities leaves the word to the fixed table for a score that is none. A decline by the
    score alone may be let through, by the share of the rules file; what a rule rejects never is.
    """
    costs: ExpectedCosts | None = None
    policy: Policy = FIXED_TABLE
    if book.costs is not None and book.policy == EXPECTED_COST and calibrated:
        policy = EXPECTED_COST
        asked, reason, costs = choose(book.costs, score, amount)
    else:
        asked, reason = assess(book.risk, score, amount)
    action = most_severe(ruled, asked)
    if reason is None:
        return APPROVED if action == "approve" and costs is None else Verdict(action, (), policy, costs)
    passing = book.pass_through
    if asked != "reject" or ruled == "reject" or not passing.eligible(amount):
        return Verdict(action, (reason,), policy, costs)
    if not passing.drawn(transaction_id):
        return Verdict(action, (reason,), policy, costs, None, 1.0 - passing.share)
    let = most_severe(ruled, passing.action)
    return Verdict(let, (reason, passing.reason), policy, costs, action, passing.share)
