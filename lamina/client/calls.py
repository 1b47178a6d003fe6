"""The calls of the API, a class a section. Made from its routes by `make client`: change those, not this."""

from __future__ import annotations

from lamina.client.session import Session
from lamina.contracts.activity_answers import PageView, PurchasePrediction
from lamina.contracts.feedback import BatchTaken, FeedbackGiven
from lamina.contracts.fraud_decisions import DecisionAnswer
from lamina.contracts.predictions import ManyQuestions, OneQuestion, Prediction
from lamina.contracts.problems import Accepted
from lamina.contracts.transactions import FraudLabel, Transaction
from lamina.contracts.user_events import UserEvent


class Activity:
    """What `/activity` answers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def view(self, view: PageView, *, explain: bool = False) -> PurchasePrediction:
        """Say whether a view leads to a purchase."""
        return self._session.call("POST", "/activity/views", PurchasePrediction, body=view, query={"explain": explain})

    def event(self, event: UserEvent) -> Accepted:
        """Report what a user did."""
        return self._session.call("POST", "/activity/events", Accepted, body=event, query={})


class Feedback:
    """What `/feedback` answers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def send(self, feedback: FeedbackGiven) -> Accepted:
        """Say what became of an answer."""
        return self._session.call("POST", "/feedback", Accepted, body=feedback, query={})

    def send_batch(self, feedback: list[FeedbackGiven]) -> BatchTaken:
        """Say what became of several answers."""
        return self._session.call("POST", "/feedback/batch", BatchTaken, body=feedback, query={})


class Fraud:
    """What `/fraud` answers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def decide(self, transaction: Transaction, *, explain: bool = False) -> DecisionAnswer:
        """Decide on a transaction."""
        return self._session.call(
            "POST", "/fraud/decisions", DecisionAnswer, body=transaction, query={"explain": explain}
        )

    def decide_batch(self, transactions: list[Transaction], *, explain: bool = False) -> list[DecisionAnswer]:
        """Decide on several transactions."""
        return self._session.call(
            "POST", "/fraud/decisions/batch", list[DecisionAnswer], body=transactions, query={"explain": explain}
        )

    def label(self, label: FraudLabel) -> Accepted:
        """Report what is known of a transaction."""
        return self._session.call("POST", "/fraud/labels", Accepted, body=label, query={})


class Predict:
    """What `/predict` answers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def predict(self, question: OneQuestion, *, explain: bool = False) -> Prediction:
        """Predict for a user and an item."""
        return self._session.call("POST", "/predict", Prediction, body=question, query={"explain": explain})

    def predict_batch(self, questions: ManyQuestions, *, explain: bool = False) -> list[Prediction]:
        """Predict for many users and items."""
        return self._session.call(
            "POST", "/predict/batch", list[Prediction], body=questions, query={"explain": explain}
        )


class Sections:
    """Every section, by name."""

    def __init__(self, session: Session) -> None:
        self.activity = Activity(session)
        self.feedback = Feedback(session)
        self.fraud = Fraud(session)
        self.predict = Predict(session)
