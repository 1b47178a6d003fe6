"""Every error lamina raises on purpose. Each message names the thing and the next step."""


class LaminaError(Exception):
    """Root of lamina's own errors; the edge (CLI, HTTP) maps it to an exit code or a status in one place."""


class DefinitionError(LaminaError):
    """A definition that cannot be right; raised when it is loaded, before any engine starts."""


class ContractError(LaminaError):
    """An event that breaks its contract. `field` names the first offending field, `reason` says why."""

    def __init__(self, contract: str, field: str, reason: str) -> None:
        self.contract, self.field, self.reason = contract, field, reason
        super().__init__(f"{contract}.{field}: {reason}")


class StoreUnavailable(LaminaError):
    """The online store did not answer; callers fall back to a named, counted policy."""


class WritesLost(LaminaError):
    """The online store was restarted and no longer holds what it had acknowledged: write again from what it knows."""


class CodecError(LaminaError):
    """Stored bytes that this version cannot read; republish the batch layer (DAG `features_daily_<system>`)."""


class ModelUnavailable(LaminaError):
    """No model can be served under the asked name and alias."""


class UnknownModel(LaminaError):
    """No model is registered under the asked name."""


class PredictionFailed(LaminaError):
    """A model gave no score for a row; its version and the cause are in the log."""


class BadScore(LaminaError):
    """A model gave something that is not one finite score a row: it failed, whatever the number says."""


class PredictionTimeout(LaminaError):
    """A prediction was not ready within its time; what slows the model or its features is in the metrics."""


class RepeatedOtherwise(LaminaError):
    """An id that was used for one event came with another; the message names it and what to send, `field` its field."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class DecisionPending(LaminaError):
    """The same request is being decided on already, and not done in time: ask again for its answer."""


class Overloaded(LaminaError):
    """More is waiting than can be answered in time: come again later."""


class NameRefused(LaminaError):
    """A name that would be more than a name: a pattern, or a path to somewhere else."""


class DayNotOver(LaminaError):
    """A day was asked for that is not over: what would be made of it would stand as if the day were complete."""


class QualityGateFailed(LaminaError):
    """A batch broke its expectation suite; the data is kept aside and the validation report says which rule."""


class ArchivedMeanwhile(LaminaError):
    """A day was archived once more, by somebody else, while it was looked at; nothing is said of what lies there."""


class ArchiveFailed(LaminaError):
    """Topics whose day was not archived, or broke its expectations; those that are not named are done."""


class StackError(LaminaError):
    """A service of the local stack could not be started, reached or stopped."""


class RolloutError(LaminaError):
    """Changed features cannot go live, or the old ones not be removed, as things stand; the message says what is."""


class MappingError(LaminaError):
    """A column mapping that does not fit its file or its contract."""


class StreamError(LaminaError):
    """Kafka did not answer, or did not take or give what was asked; nothing is known of what was under way."""


class UnknownTopic(StreamError):
    """No events with a contract are on the topic."""


class MessageRefused(StreamError):
    """Kafka will never take so many messages (`count`), because of what they are: too large, or invalid."""

    def __init__(self, message: str, count: int = 1) -> None:
        self.count = count
        super().__init__(message)


class OffsetsLost(StreamError):
    """Kafka no longer holds messages that were to be archived; names the range and how to go on without it."""


class TopicChanged(StreamError):
    """A topic is another than the one that recorded offsets are of: it was deleted and made again under its name."""


class NotMigrated(LaminaError):
    """What the version before has left lies where this one reads; names the place and the command that moves it."""


class MigrationBlocked(LaminaError):
    """What is to be led over stands against what is there already; names both and what to do."""


class FrameError(LaminaError):
    """Rows or events handed over as a frame that the features cannot be computed from; says what is missing."""


class SettingsError(LaminaError):
    """Settings that cannot be right; names the variable or the file, never its value."""
