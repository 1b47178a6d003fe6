"""What the activity model predicts, and by what it is judged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lamina.definitions.activity import SYSTEM
from lamina.evaluation.metrics import Flags
from lamina.evaluation.problem import Problem, Words
from lamina.evaluation.table import Table

LONG_SESSION = 5
"""Page views within a session after which a user is no longer only passing by."""


def slices(rows: Table) -> Iterator[tuple[str, Flags]]:
    """Names and masks, bool[n]. A slice overlaps those of another kind."""
    bought = rows.inputs["num_purchase_30d"]
    yield "bought nothing in 30 days", np.asarray(bought == 0)
    yield "bought in the last 30 days", np.asarray(bought > 0)
    yield "early in a session", np.asarray(rows.inputs["session_page_views"] < LONG_SESSION)
    yield "late in a session", np.asarray(rows.inputs["session_page_views"] >= LONG_SESSION)
    yield "weekend", np.asarray(rows.inputs["weekend"] == 1)


PROBLEM = Problem(
    record=SYSTEM,
    unit="user_id",
    words=Words(
        predicts="Probability that the user of a page view buys its item within a day",
        row="a page view",
        positive="purchase",
        positives="purchases",
        negative="idle",
        unseen="New users and new items are scored by analogy, as if nothing had been said of them.",
        unreported="What is bought elsewhere, or later than a day after the view, counts as not bought.",
        left_out="Nobody is left out of the test: who has bought goes on shopping.",
    ),
    slices=slices,
)
