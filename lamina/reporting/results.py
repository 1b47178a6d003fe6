"""What a run of the main job found out. Plain data: the runner fills it in, the report shows it, JSON keeps it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Figure = int | float | str


class Part(BaseModel):
    """Some of the results: it does not change, and takes no field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(Part):
    """One step of the run. `rows` is None where rows make no sense; `figures` are shown as given, under their names."""

    name: str
    rows: int | None = Field(None, ge=0)
    seconds: float = Field(ge=0)
    figures: dict[str, Figure] = Field(default_factory=dict)


class Percentiles(Part):
    """Percentiles of a time in milliseconds; `name` says of what."""

    name: str
    count: int = Field(ge=0)
    p50_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float


class Latency(Part):
    """Time of an answer as the client saw it, at `rate_per_s` requests a second, and of the stages in the server.

    `target` holds the percentiles that were aimed at, as a line to compare with.
    """

    rate_per_s: float = Field(ge=0)
    errors: int = Field(0, ge=0)
    client: Percentiles
    stages: list[Percentiles] = Field(default_factory=list)
    target: Percentiles | None = None


class Freshness(Part):
    """Time from an event on Kafka until its features were readable; bin i goes from edges_ms[i] to edges_ms[i + 1]."""

    percentiles: Percentiles
    edges_ms: list[float]
    counts: list[int]

    @model_validator(mode="after")
    def _one_more_edge(self) -> Self:
        if len(self.edges_ms) != len(self.counts) + 1:
            raise ValueError(f"{len(self.counts)} bins need {len(self.counts) + 1} edges, not {len(self.edges_ms)}")
        return self


class FeatureParity(Part):
    """Served against recomputed values of one feature.

    stale: differs, because an event was not readable yet; mismatch: differs from the same events; missing: served as
    absent; extra: served, though there should be none.
    """

    name: str
    compared: int = Field(ge=0)
    match: int = Field(ge=0)
    stale: int = Field(0, ge=0)
    mismatch: int = Field(0, ge=0)
    missing: int = Field(0, ge=0)
    extra: int = Field(0, ge=0)

    @property
    def wrong(self) -> int:
        """Values that no event explains."""
        return self.mismatch + self.missing + self.extra


class Hop(Part):
    """Rows that came out of one step of the pipeline.

    `expected` rows went in; `aside` were put aside on purpose and counted (dead letters, duplicates, rejects). What is
    neither is lost. A hop that makes other rows than it takes (tiles) has no `expected`. Hops of one `path` follow each
    other in the order given.
    """

    path: str
    name: str
    rows: int = Field(ge=0)
    expected: int | None = Field(None, ge=0)
    aside: int = Field(0, ge=0)
    note: str = ""

    @property
    def lost(self) -> int | None:
        """Rows that went in and are nowhere (negative: more came out than went in), or None where that has no meaning.

        >>> Hop(path="events", name="archived", expected=100, rows=97, aside=2).lost
        1
        """
        return None if self.expected is None else self.expected - self.rows - self.aside


class Model(Part):
    """The model that answered. `facts` are shown as given: members, rows, days, seed."""

    name: str
    version: str
    alias: str = "champion"
    logical_date: str
    features: int = Field(ge=0)
    git_commit: str = ""
    outcome: str = Field("", description="What the gate decided and why.")
    facts: dict[str, Figure] = Field(default_factory=dict)


class Environment(Part):
    """Where it was run, so that a figure can be compared."""

    machine: str
    cores: int = Field(ge=1)
    memory_gib: float = Field(gt=0)
    commit: str
    versions: dict[str, str]


class Span(Part):
    """How well positive requests were told apart over some days; the interval is of draws of whom they are about.

    None where there was nothing to measure, or an end that too few draws have.
    """

    name: str
    first: date | None = None
    last: date | None = None
    versions: list[str] = Field(default_factory=list)
    rows: int = Field(ge=0)
    positives: int = Field(ge=0)
    auc: float | None = None
    low: float | None = None
    high: float | None = None


class Told(Part):
    """An alert of a report of monitoring. by_labels: it goes by labels, not by what was served alone."""

    report: str
    name: str
    subject: str
    severity: str
    value: float
    threshold: float
    message: str
    by_labels: bool


class Repair(Part):
    """A world that changed under a version that served, and what the platform did about it.

    changed: what is another, since `since`. asked: the hour, UTC, whose reports were looked at. spans: before, during
    and after. alerts: of those reports; shown: how they were told, in `shown_by`. run_id: the training that was asked
    for; outcome: what the gate decided of it, and why; replaced_by: the version that took over. answered: how many
    requests each version answered while it was trained and on the day after; failed: why how many were not. What it did
    not come to is empty.
    """

    changed: str
    since: date
    asked: datetime
    label_days: int
    unposted: int = Field(description="Answers put into the lake instead of being asked for.")
    spans: list[Span]
    by_day: list[Span] = Field(default_factory=list)
    alerts: list[Told] = Field(default_factory=list)
    shown_by: str = ""
    shown: list[str] = Field(default_factory=list)
    run_id: str = ""
    outcome: str = ""
    replaced_by: str = ""
    answered: dict[str, int] = Field(default_factory=dict)
    failed: dict[str, int] = Field(default_factory=dict)

    @property
    def failures(self) -> int:
        """Requests that got no answer."""
        return sum(self.failed.values())


class DemoResults(Part):
    """What a run of any system found out; a subclass adds what only that system's has.

    A part that is None was not run, and the report says so.
    """

    input_name: str
    system: str
    started_at: datetime
    seconds: float = Field(ge=0)
    stages: list[Stage]
    hops: list[Hop]
    latency: Latency | None = None
    freshness: Freshness | None = None
    parity: list[FeatureParity] | None = None
    model: Model | None = None
    environment: Environment
    repair: Repair | None = None
    remarks: list[str] = Field(default_factory=list)

    @property
    def lost(self) -> int:
        """Rows lost, or there twice, over all hops."""
        return sum(abs(hop.lost or 0) for hop in self.hops)

    @property
    def wrong(self) -> int:
        """Served values that no event explains."""
        return sum(feature.wrong for feature in self.parity or ())
