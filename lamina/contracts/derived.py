"""Features that need no window of their own: made of others, or of the request alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from lamina.contracts.views import EventSource, WindowFeature


@dataclass(frozen=True)
class Ratio:
    """Quotient of two features; `default`, None being missing, where the denominator is 0 or either is missing.

    Each is a window's or `Chosen`, both then of one entity, or the request's own and a number: `amount` against the
    mean of those before it. `version` is as a view's.
    """

    name: str
    numerator: str
    denominator: str
    default: float | None = 0.0
    version: int = 1

    @property
    def parts(self) -> tuple[str, ...]:
        """The features that it is made from."""
        return (self.numerator, self.denominator)


@dataclass(frozen=True)
class Elapsed:
    """Seconds from the time that feature `since`, a first_time or last_time, holds to the one that `until` holds, or to
    the time asked for; missing where a time is. Either may be `Chosen` among such. `version` is as a view's.
    """

    name: str
    since: str
    until: str | None = None
    version: int = 1

    @property
    def parts(self) -> tuple[str, ...]:
        """The features that it is made from: they hold its times."""
        return (self.since,) if self.until is None else (self.since, self.until)


@dataclass(frozen=True)
class Chosen:
    """The value of the feature that the request's `column` names: `of` says which, by values of the column.

    `default`, None being missing, where the column is missing or has any other value. Where the chosen feature is
    missing, so is this one. All are numbers of windows of one entity, and one kind of aggregate. `version` is as a
    view's.

    >>> watched = Chosen("watched_s_category", "category", {"comedy": "watched_s_comedy", "news": "watched_s_news"})
    >>> watched.part("news"), watched.part("sport"), watched.part(None)
    ('watched_s_news', None, None)
    """

    name: str
    column: str
    of: Mapping[str, str]
    default: float | None = None
    version: int = 1

    def __hash__(self) -> int:
        return hash((self.name, self.column))

    @property
    def parts(self) -> tuple[str, ...]:
        """The features that it is made from, each once."""
        return tuple(dict.fromkeys(self.of.values()))

    def part(self, value: object) -> str | None:
        """The feature that a value of the column names, None where there is none."""
        return self.of.get(value) if isinstance(value, str) else None

    def complaints(
        self, request: EventSource, windows: Mapping[str, WindowFeature], hiding: Collection[str]
    ) -> Iterator[str]:
        """What is wrong with it, each a sentence that says what to do.

        Args: windows: windowed features by name; hiding: names of features that are other than the column of that name.
        """
        yield from _complaints_of_column(self.column, request, hiding)
        if not self.of:
            yield 'chooses among nothing: give the features, such as of={"news": "watched_s_news_30d"}'
        if self.default is not None and not isfinite(self.default):
            yield f"default {self.default!r} is no number that every engine writes alike: give a finite one, or None"
        found = [windows[name] for name in self.parts if name in windows]
        if wrong := sorted(f.name for f in found if not f.is_number):
            yield f"{wrong} are texts or lists: choose among numbers"
        elif len(kinds := sorted({f.aggregate.kind for f in found})) > 1:
            yield f"chooses among {' and '.join(kinds)}, which are not of one kind: make it two features"


@dataclass(frozen=True)
class Membership:
    """Whether the request's `column` is in the list that feature `of`, a last_k of texts, holds: 1.0 or 0.0; missing
    where the column is. An empty list holds nothing, so it is 0.0 for whom nothing is known. `version` is as a view's.
    """

    name: str
    column: str
    of: str
    version: int = 1

    @property
    def parts(self) -> tuple[str, ...]:
        """The features that it is made from."""
        return (self.of,)

    def complaints(
        self, request: EventSource, windows: Mapping[str, WindowFeature], hiding: Collection[str]
    ) -> Iterator[str]:
        """What is wrong with it, each a sentence that says what to do.

        Args: windows: windowed features by name; hiding: names of features that are other than the column of that name.
        """
        yield from _complaints_of_column(self.column, request, hiding)
        if (held := windows.get(self.of)) is None:
            return
        if not held.aggregate.is_list:
            yield f"{self.of!r} holds no list: name a last_k feature"
        elif not held.of_texts:
            yield f"{self.of!r} lists numbers: name a last_k of a string column"


def default_in_words(default: float | None) -> str:
    """What stands where nothing is known.

    >>> default_in_words(0.0), default_in_words(None)
    ('0', 'missing')
    """
    return "missing" if default is None else f"{default:g}"


def _complaints_of_column(column: str, request: EventSource, hiding: Collection[str]) -> Iterator[str]:
    if column not in request.columns:
        yield f"the request's source {request.name!r} has no column {column!r}; it has {sorted(request.columns)}"
    elif (kind := request.columns[column]) != "string":
        yield f"column {column!r} is {kind}: name a string column"
    elif column.split(".")[0] in hiding:
        yield f"column {column!r} is hidden by the feature of that name: rename the feature"


Transform = Literal["field", "hour_of_day", "day_of_week", "weekend", "night", "differs", "equals"]


@dataclass(frozen=True)
class RequestFeature:
    """A feature of the request alone.

    `field`: the column itself; `hour_of_day` 0..23 and `day_of_week` 0 (Monday)..6 of the event time, UTC; `weekend`
    day_of_week >= 5; `night` hour_of_day <= 6 (both as in Le Borgne et al. 2022, 3.3); `differs`: 1.0 where two
    columns differ; `equals`: 1.0 where the column equals `value`. `version` is as a view's.
    """

    name: str
    transform: Transform
    column: str = ""
    other: str = ""
    value: str = ""
    categorical: bool = False
    version: int = 1


Made = Ratio | Elapsed | Chosen | Membership
"""A feature that is made from others when it is read."""
