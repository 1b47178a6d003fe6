"""What the fraud model predicts, and by what it is judged."""

from __future__ import annotations

from functools import partial

from lamina.definitions.fraud import SYSTEM
from lamina.evaluation.decided import weights
from lamina.evaluation.problem import Problem, Words
from models.fraud.figures import measure
from models.fraud.savings import sections
from models.fraud.slices import slices

# One: a second action after which nothing happens would ask for weights of its own.
(WITHHOLDING,) = SYSTEM.watching.withholding

PROBLEM = Problem(
    record=SYSTEM,
    unit="user_id",
    words=Words(
        predicts="Probability of fraud of a card transaction",
        row="a transaction",
        positive="fraud",
        positives="frauds",
        negative="legitimate",
        withheld="declined transactions",
        unseen="Later kinds of fraud, and merchants and users without a history, are scored by analogy.",
        unreported="A fraud that nobody reported counts as legitimate, here and in training.",
        left_out="Users whose fraud was known are left out of a test by time: their cards are blocked by then.",
        at_threshold=("recall_at_fpr_001", "money_caught"),
    ),
    figures=measure,
    slices=slices,
    known_leave=True,
    columns=("amount", "scenario"),
    beside=("country",),
    weights=partial(weights, SYSTEM.name, WITHHOLDING),
    sections=sections,
)
