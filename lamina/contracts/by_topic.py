"""The contract of each topic that carries events."""

from __future__ import annotations

from lamina.contracts.base import Event
from lamina.contracts.decisions import DeadLetter, Decision, ShadowScore
from lamina.contracts.topics import (
    DEAD_LETTERS,
    FRAUD_LABELS,
    MODEL_PREDICTIONS,
    SHADOW_SCORES,
    TRANSACTIONS,
    USER_EVENTS,
)
from lamina.contracts.transactions import FraudLabel, Transaction
from lamina.contracts.user_events import UserEvent

CONTRACTS: dict[str, type[Event]] = {
    TRANSACTIONS: Transaction,
    USER_EVENTS: UserEvent,
    FRAUD_LABELS: FraudLabel,
    MODEL_PREDICTIONS: Decision,
    SHADOW_SCORES: ShadowScore,
    DEAD_LETTERS: DeadLetter,
}
