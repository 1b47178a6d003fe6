"""What the platform is told of one system: everything that is made for each by going over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lamina.contracts.features import Entity, FeatureSet
from lamina.contracts.feedback_label import FeedbackLabel
from lamina.contracts.labels import LABEL_TIMESTAMP, LabelDefinition
from lamina.contracts.served import Served
from lamina.contracts.topics import EventTopic, predictions_of
from lamina.contracts.watching import USUAL, Watching
from lamina.errors import DefinitionError


@dataclass(frozen=True, kw_only=True)
class System:
    """One system: its features, the topics of its events, and what its model learns from.

    `topics` are those of its own events. It may read those of other systems, which then are only theirs to describe; a
    topic that two describe is described alike. `label`: how it becomes known what a request was; `feedback`: what is
    said of its answers besides, on the topic that all systems share. `served`: the log of what it answered, made by
    `lamina.contracts.served.served_topic`. `min_auc`: a model whose AUC is below is not registered, unless it is asked
    for. `watching`: from where on somebody is told that it does badly.
    """

    features: FeatureSet
    topics: tuple[EventTopic, ...] = ()
    label: LabelDefinition | None = None
    feedback: FeedbackLabel | None = None
    served: EventTopic | None = None
    min_auc: float = 0.8
    watching: Watching = USUAL

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise DefinitionError(f"system {self.name!r}: {complaint}")

    def _complaints(self) -> Iterator[str]:
        if self.features.model_features and not self.label:
            yield "model_features need a label to learn from: give label, or leave model_features out"
        if not 0 <= self.min_auc <= 1:
            yield f"min_auc {self.min_auc:g}: an AUC is between 0 and 1"
        yield from (f"watching: {complaint}" for complaint in self.watching.complaints())
        if self.label:
            yield from self._complaints_of_label(self.label)
        if self.feedback:
            origins = self.label.origins if self.label else ()
            yield from (f"feedback: {complaint}" for complaint in self.feedback.complaints(origins))
            if self.label and self.feedback.kind != "binary":
                yield f"feedback: label {self.label.column!r} is true or false: give grades of 1 and 0, and no reward"
            if not self.served:
                yield f"feedback is of answers that are logged: describe topic {predictions_of(self.name)!r} by served"
        if self.features.model_features and not self.served:
            yield f"what its model answers is logged: describe topic {predictions_of(self.name)!r} by served"
        if self.served and self.served.contract is not Served:
            kind = self.served.contract.__name__
            yield f"topic {self.served.name!r} is of {kind}: what is served is logged as Served, by served_topic"
        if self.served and self.served.name != predictions_of(self.name):
            yield f"what it serves is on {self.served.name!r}: the topic is called {predictions_of(self.name)!r}"

    def _complaints_of_label(self, label: LabelDefinition) -> Iterator[str]:
        yield from (f"label {label.column!r}: {complaint}" for complaint in label.complaints(self.features.request))
        if clash := sorted({label.column, *label.beside, LABEL_TIMESTAMP} & set(self.features.names)):
            yield f"label {label.column!r}: {clash} are features, too: the label would be known to the model"
        for topic in self.topics:
            if topic.name == label.source.topic and (lacking := set(label.beside) - set(topic.contract.model_fields)):
                yield f"label {label.column!r}: topic {topic.name!r} has no {sorted(lacking)} to keep beside it"

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
    def learnt_label(self) -> LabelDefinition:
        """The label that its model learns.

        Raises: DefinitionError: when it has none.
        """
        if self.label is None:
            raise DefinitionError(f"system {self.name!r} has no label to train on: give its record a label")
        return self.label

    @property
    def feedback_sources(self) -> tuple[str, ...]:
        """Sources that feedback on its answers may claim, the best first; the events of the label's own are none."""
        own = self.label.source.name if self.label else None
        return tuple(source for source in self.feedback.order if source != own) if self.feedback else ()

    @property
    def event_topics(self) -> tuple[EventTopic, ...]:
        """Every topic that it describes."""
        return (*self.topics, self.served) if self.served else self.topics

    @property
    def feature_topics(self) -> tuple[str, ...]:
        """The topics that its features and its label are made from, sorted."""
        sources = [self.features.request, *(view.source for view in self.features.views)]
        if self.label:
            sources.append(self.label.source)
        return tuple(sorted({source.topic for source in sources}))
