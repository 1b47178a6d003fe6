"""What a model learns from: how it becomes known what a request was. A label is data; Spark interprets it.

There are two kinds. Somebody **reports** it, as a bank does of a fraud weeks later; or something **follows**: a view is
positive when the same user buys the same item within a day. Both make two columns of the training set: the label's own,
true or false, and `label_timestamp`, when it became known, epoch ms, null where nothing did.

    view at 10:00          purchase at 10:40          10:00 of the next day
    |----------------------|--------------------------|
    a row                  known: true, from here on  complete: without a purchase it stays false
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lamina.contracts.aggregates import Predicate
from lamina.contracts.durations import Duration
from lamina.contracts.features import EventSource
from lamina.contracts.names import complaints_of_names

LABEL_TIMESTAMP = "label_timestamp"
"""Column of every training set: when the label of the row became known."""


@dataclass(frozen=True, kw_only=True)
class ReportedLabel:
    """An event that names a request by its id says what it was. Of several, the one that stands by the source's
    `revisions` does; a request of which nothing was said is negative.

    column: of the source and of the training set, true or false. delay: so long after a request its labels are taken
    for complete. rows: which events of the request's source are rows at all; all when left out. beside: further columns
    of the label's topic that go into the training set.
    """

    source: EventSource
    column: str
    delay: Duration
    rows: Predicate | None = None
    beside: tuple[str, ...] = ()

    @property
    def known(self) -> str:
        """The column that says when a label became known, epoch ms."""
        return self.source.revisions.known if self.source.revisions else self.source.timestamp

    @property
    def origins(self) -> tuple[str, ...]:
        """Whose word it is, the best first: those that the revisions name, or the source itself."""
        return self.source.revisions.order if self.source.revisions else (self.source.name,)

    def complaints(self, request: EventSource) -> Iterator[str]:
        """What is wrong with it for requests of this source, each a sentence that says what to do."""
        kind = self.source.columns.get(self.column)
        if kind != "boolean":
            found = "no column" if kind is None else f"a {kind}"
            yield f"{self.column!r} is {found} of source {self.source.name!r}: name one that is true or false"
        if self.source.revisions:
            yield from self.source.revisions.complaints(self.source.columns)
        yield from _complaints_of_rows(self, request)


@dataclass(frozen=True, kw_only=True)
class FollowedLabel:
    """A request is positive when an event of `source` with the same `keys` comes after it, by at most `within`.

    At a request's own time nothing follows it; at the end of `within` something still does. It is known at the time of
    the first such event, and complete when `within` is over.

    column: what the training set calls it. where: which events count; all when left out. keys: columns that both
    sources have, such as those of the user and the item. rows: which events of the request's source are rows at all.
    """

    source: EventSource
    column: str
    keys: tuple[str, ...]
    within: Duration
    where: Predicate | None = None
    rows: Predicate | None = None

    @property
    def delay(self) -> Duration:
        """So long after a request its label is complete."""
        return self.within

    @property
    def beside(self) -> tuple[str, ...]:
        """What follows brings no further columns: the events of several rows may be one."""
        return ()

    @property
    def origins(self) -> tuple[str, ...]:
        """Whose word it is: the source's."""
        return (self.source.name,)

    def complaints(self, request: EventSource) -> Iterator[str]:
        """What is wrong with it for requests of this source, each a sentence that says what to do."""
        yield from complaints_of_names("column", [self.column])
        if not self.keys:
            yield "nothing says whose events follow: name the columns that both have by keys"
        for source in (request, self.source):
            if lacking := [key for key in self.keys if key not in source.columns or not source.is_required(key)]:
                yield f"source {source.name!r} does not always have {lacking}: take keys that every event has"
        if self.within.s <= 0:
            yield f"within {self.within.label} nothing can follow: give a longer time"
        if self.where is not None:
            yield from self.where.complaints(self.source.columns)
        yield from _complaints_of_rows(self, request)


LabelDefinition = ReportedLabel | FollowedLabel
"""Every kind there is. Grades and rewards would be kinds of their own."""


def _complaints_of_rows(label: LabelDefinition, request: EventSource) -> Iterator[str]:
    if label.rows is not None:
        yield from label.rows.complaints(request.columns)
    if clash := sorted({label.column, *label.beside, LABEL_TIMESTAMP} & set(request.columns)):
        yield f"{clash} are columns of the request, too: a row would have two of a name"
