"""What the platform is told of one system: everything that is made for each by going over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lamina.contracts.features import Duration, Entity, FeatureSet
from lamina.contracts.topics import EventTopic, predictions_of
from lamina.errors import DefinitionError


@dataclass(frozen=True, kw_only=True)
class System:
    """One system: its features, the topics of its events, and how long its labels take.

    `topics` are those of its own events. It may read those of other systems, which then are only theirs to describe; a
    topic that two describe is described alike. `label_delay`: so long after an event its labels are complete.
    `served`: the log of what its model answered.
    """

    features: FeatureSet
    topics: tuple[EventTopic, ...] = ()
    label_delay: Duration | None = None
    served: EventTopic | None = None

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise DefinitionError(f"system {self.name!r}: {complaint}")

    def _complaints(self) -> Iterator[str]:
        if self.features.labels and not self.label_delay:
            yield "its labels become known late: say how long they take by label_delay"
        if self.features.model_features and not self.served:
            yield f"what its model answers is logged: describe topic {predictions_of(self.name)!r} by served"
        if self.served and self.served.name != predictions_of(self.name):
            yield f"what it serves is on {self.served.name!r}: the topic is called {predictions_of(self.name)!r}"

    @property
    def name(self) -> str:
        """Its name in every layer."""
        return self.features.system

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What its features are about."""
        return self.features.entities

    @property
    def has_model(self) -> bool:
        """Whether a model is trained and serves; a set of features alone has none."""
        return bool(self.features.model_features)

    @property
    def event_topics(self) -> tuple[EventTopic, ...]:
        """Every topic that it describes."""
        return (*self.topics, self.served) if self.served else self.topics

    @property
    def feature_topics(self) -> tuple[str, ...]:
        """The topics that its features and labels are made from, sorted."""
        features = self.features
        sources = (features.request, features.labels, *(view.source for view in features.views))
        return tuple(sorted({source.topic for source in sources if source}))
