"""What the recommendation model predicts, and by what it is judged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lamina.definitions.recommendation import SYSTEM
from lamina.evaluation.metrics import Flags
from lamina.evaluation.problem import Problem, Words
from lamina.evaluation.slices import by_value
from lamina.evaluation.table import Table

DAY_S = 86_400


def slices(rows: Table) -> Iterator[tuple[str, Flags]]:
    """Names and masks, bool[n]. A slice overlaps those of another kind."""
    watches = rows.inputs["watch_frequency_30d"]
    yield "watched nothing in 30 days", np.asarray(watches == 0)
    yield "watched in the last 30 days", np.asarray(watches > 0)
    yield "of a followed channel", np.asarray(rows.inputs["follows_channel"] == 1)
    yield "uploaded less than a day ago", np.asarray(rows.inputs["video_age"] < DAY_S)
    yield from by_value("device", rows.inputs["device"])


PROBLEM = Problem(
    record=SYSTEM,
    unit="viewer_id",
    words=Words(
        predicts="Probability that the viewer of a list watches the video within an hour, at the positions at which "
        "such a video was shown",
        row="an impression",
        positive="watch",
        positives="watches",
        negative="passed over",
        unseen="New viewers are scored by what they said to like, new videos by their channel and category.",
        unreported="What is watched elsewhere, or later than an hour after it was shown, counts as not watched. What "
        "nobody looked at, far down on a list, counts as not watched, too.",
        left_out="Nobody is left out of the test: who has watched goes on watching.",
    ),
    slices=slices,
)
