"""Generated events with everything that goes wrong in practice: ties, late arrivals, duplicates, missing values, ties
across midnight, ids that users share with each other and with merchants, amounts from the tiniest to the largest.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from lamina.clock import DAY_MS
from lamina.semantics.events import EventRow

START_MS = 1_533_686_400_000  # 2018-08-08T00:00:00Z
SOURCES = ("chargeback", "analyst", "customer", "simulator")


@dataclass(frozen=True)
class Generated:
    """Events in order of arrival, by the name of their source."""

    transactions: list[dict[str, object]]
    fraud_labels: list[dict[str, object]]
    user_events: list[dict[str, object]] = field(default_factory=list)

    @property
    def arrived(self) -> dict[str, list[EventRow]]:
        """The same, as the reference takes them."""
        if self.user_events:
            return {"user_events": list(self.user_events)}
        return {
            "transactions": list(self.transactions),
            "fraud_labels": list(self.fraud_labels),
            "fraud_reports": list(self.fraud_labels),
        }


def generate(seed: int, *, n: int = 400, users: int = 5, days: int = 12, strained: bool = True) -> Generated:
    """`n` transactions of `users` users over `days` days from `START_MS`, and labels of a third of them.

    strained: with what no honest day holds, see `_strain`; for two days or more.
    """
    rng = random.Random(seed)
    transactions = [_transaction(rng, i, users, days) for i in range(n)]
    for i in range(0, n, 9):  # ties: the same user in the same millisecond
        other = transactions[(i + 1) % n]
        other["user_id"], other["timestamp"] = transactions[i]["user_id"], transactions[i]["timestamp"]
    if strained:
        _strain(rng, transactions, days)
    transactions.sort(key=lambda e: int(str(e["timestamp"])))
    for _ in range(n // 20):  # late: arrives up to 30 places after its turn
        i = rng.randrange(n - 31)
        transactions.insert(i + rng.randrange(1, 30), transactions.pop(i))
    for _ in range(n // 15):  # duplicates: the same event once more, later
        i = rng.randrange(len(transactions))
        transactions.insert(rng.randrange(i, len(transactions)) + 1, dict(transactions[i]))
    labels = [_label(rng, e) for e in transactions if rng.random() < 1 / 3]
    for _ in range(len(labels) // 4):  # said again: by another source, with another verdict or the same, in any order
        i = rng.randrange(len(labels))
        labels.insert(rng.randrange(len(labels) + 1), _said_again(rng, labels[i]))
    return Generated(transactions, labels)


def _strain(rng: random.Random, transactions: list[dict[str, object]], days: int) -> None:
    """Give some of them extreme amounts, times on both sides of midnight, and ids that others have."""
    for i in range(4, len(transactions), 11):  # the last and the first millisecond of a day, of one user and of two
        midnight = START_MS + rng.randrange(1, days) * DAY_MS
        for step, other in zip((-1, -1, 0, 0), transactions[i : i + 4], strict=False):
            other["timestamp"] = midnight + step
        for other in transactions[i : i + 3]:
            other["user_id"] = transactions[i]["user_id"]
    for event in transactions[3::13]:
        event["amount"] = _extreme(rng)
    for event in transactions[5::17]:  # an id of a user and of a merchant, and both have an event at once
        event["merchant_id"] = event["user_id"]
    for event in transactions[7::19]:  # one card, one device, several users
        event["card_token"] = "tok_shared"


def _extreme(rng: random.Random) -> float:
    """A refund, nothing, the tiniest or the largest that a contract takes, or what binary fractions do not hold."""
    huge = rng.choice([1e9, -1e9, 999_999_999.99, -999_999_999.99])
    tiny = rng.choice([0.0, -0.0, 5e-324, -5e-324, 1e-12, 0.1, 0.2, 0.3, -0.01])
    return rng.choice([tiny, huge, -round(rng.lognormvariate(3, 1), 2), 2.0**53 / 1e8])


def _transaction(rng: random.Random, i: int, users: int, days: int) -> dict[str, object]:
    located = rng.random() < 0.7
    country = rng.choice(["FR", "BE", "DE"])
    return {
        "transaction_id": f"t{i:05d}",
        "user_id": f"u{rng.randrange(users)}",
        "card_token": f"tok_{rng.randrange(users)}",
        "amount": round(rng.lognormvariate(3, 1), 2),
        "currency": "EUR",
        "merchant_id": f"m{rng.randrange(4)}",
        "merchant_category": rng.choice(["grocery", "travel"]),
        "country": country,
        "user_country": "FR",
        "transaction_type": rng.choice(["online", "in_store"]),
        "device_type": rng.choice(["web", "terminal"]),
        "location": {"lat": round(rng.uniform(-90, 90), 4), "lon": round(rng.uniform(-180, 180), 4)}
        if located
        else None,
        # Bursts of a few seconds, so that windows of an hour and tiles of a second hold several events.
        "timestamp": START_MS + rng.randrange(days * 4) * (DAY_MS // 4) + rng.randrange(20_000),
    }


def _label(rng: random.Random, event: dict[str, object]) -> dict[str, object]:
    at = int(str(event["timestamp"]))
    return {
        "transaction_id": event["transaction_id"],
        "user_id": event["user_id"],
        "merchant_id": event["merchant_id"],
        "is_fraud": rng.random() < 0.5,
        "scenario": None,
        "source": rng.choice(SOURCES),
        "transaction_timestamp": at,
        # One in ten takes longer than the week after which labels are taken for complete.
        "timestamp": at + rng.randrange(1, (9 if rng.random() < 0.1 else 7) * DAY_MS),
    }


def _said_again(rng: random.Random, label: dict[str, object]) -> dict[str, object]:
    known = int(str(label["timestamp"]))
    return {
        **label,
        "is_fraud": rng.random() < 0.5,
        "source": rng.choice(SOURCES),
        "timestamp": rng.choice([known, known + rng.randrange(5 * DAY_MS), max(known - DAY_MS, START_MS)]),
    }
