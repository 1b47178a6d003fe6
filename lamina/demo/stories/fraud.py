"""The demo of fraud: card payments of a simulated world or of the Fraud Detection Handbook, decided on one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lamina.contracts.fraud_decisions import MERCHANT, SCORE, USER, payload_of
from lamina.contracts.fraud_decisions import RULES as RULES_STAGE
from lamina.contracts.served import MODEL, ModelUsed, Served
from lamina.contracts.transactions import Transaction
from lamina.definitions.fraud import FRAUD_LABELS, FRAUD_REPORTS, TRANSACTIONS
from lamina.demo import collect
from lamina.demo.live import Route
from lamina.demo.sources import FileSource, WorldSource
from lamina.demo.story import Answering, Options, Run, SecondAct, Story
from lamina.registry.protocol import ModelVersion
from lamina.reporting.page import Bars, Headline, Measure, Page, Picture, Section, told_apart
from lamina.reporting.report import figure
from lamina.reporting.results import DemoResults, Part, Percentiles
from lamina.rules.book import load_rules
from lamina.rules.settle import settle
from lamina.scoring.protocol import Scorer, Value
from lamina.settings import ROOT, Settings
from lamina.worlds.fraud.shift import QUIET, Shift
from lamina.worlds.fraud.world import FraudWorld

SYSTEM = "fraud"
SEED, START = 7, date(2026, 1, 5)
USERS, DAYS = 1000, 45
LOAD_DAYS = 30
"""More than are posted while a model is trained, and until its successor has met enough frauds."""
NO_COSTS = (None, None, None)
RULES = ROOT / "serving/systems/fraud/rules/fraud.yaml"
TARGET = Percentiles(name="target", count=0, p50_ms=25, p95_ms=45, p99_ms=65, p999_ms=100)
ROUTES = (
    Route(TRANSACTIONS.topic, "/fraud/decisions", "transactions", is_answered=True),
    Route(FRAUD_LABELS.topic, "/fraud/labels", "labels"),
)
TONES: Mapping[str, Literal["good", "careful", "bad"]] = {"approve": "good", "review": "careful", "reject": "bad"}
SCORES: tuple[tuple[str, str, str], ...] = (
    ("auc", "AUC", "0.5 is guessing, 1 is perfect"),
    ("average_precision", "Average precision", "area under precision over recall"),
    ("precision_at_95_recall", "Precision at 95 % recall", "of those flagged, how many are fraud"),
    ("recall_at_fpr_001", "Recall at 0.1 % false positives", "fraud found while 1 in 1,000 good ones is bothered"),
    ("card_precision_100", "Card precision@100", "compromised cards among the 100 most suspicious a day"),
    ("money_caught", "Money caught", "share of the fraud's amount at 0.1 % false positives"),
)


class Scores(Part):
    """Quality of scores against labels; all between 0 and 1. None where it was not measured or not published."""

    auc: float | None = None
    average_precision: float | None = None
    precision_at_95_recall: float | None = None
    recall_at_fpr_001: float | None = Field(None, description="Recall at 0.1 % false positives.")
    card_precision_100: float | None = None
    money_caught: float | None = Field(None, description="Share of the fraud's amount at 0.1 % false positives.")


PUBLISHED = Scores(auc=0.862, average_precision=0.639, card_precision_100=0.273)
PUBLISHED_BY = "XGBoost, Le Borgne et al. 2022"


class Detection(Part):
    """How well fraud was told apart. `protocol` says on which rows; curves are points (x, y) in order of x.

    `published` are the figures of others for the same protocol, `published_by` names them.
    """

    protocol: str
    rows: int = Field(ge=0)
    frauds: int = Field(ge=0)
    scores: Scores
    published: Scores | None = None
    published_by: str = ""
    precision_recall: list[tuple[float, float]] = Field(description="(recall, precision)")
    roc: list[tuple[float, float]] = Field(default_factory=list, description="(false positive rate, recall)")


class Decisions(Part):
    """Answers of the API by action and by reason code (an answer may carry several), and those given by a fallback."""

    by_action: dict[str, int]
    by_reason: dict[str, int]
    fallbacks: dict[str, int] = Field(default_factory=dict)


class FraudResults(DemoResults):
    """What a run of this demo found out."""

    detection: Detection | None = None
    decisions: Decisions | None = None


def story(options: Options) -> Story:
    """The demo on the handbook's transactions where a folder is given, else on the simulated world.

    Raises: LaminaError: when the folder does not hold them.
    """
    if options.data is None:
        users, days = options.users or USERS, options.days or DAYS
        world = FraudWorld(seed=SEED, users=users, days=days, start=START)
        name = f"fraud world, seed {SEED}: {users:,} users, {days} days"
        return _on(WorldSource(world, name), world.listed_cards, published=False, second=_second(users, days))
    return _on(_handbook(options.data, options.scratch), [], published=True)


def _second(users: int, days: int) -> SecondAct:
    """Fraudsters learn what gives them away, from the day after the live one on."""
    later = days + SecondAct.days + LOAD_DAYS
    world = FraudWorld(seed=SEED, users=users, days=later, start=START, shift=Shift(days, QUIET))
    return SecondAct(
        world=world,
        changed="fraudsters pay small amounts, slowly, from the owner's device, in other categories than before",
        positives=lambda n: frozenset(world.truth(n)["transaction_id"].to_pylist()),
        answering=answering,
        scored=lambda answer: (answer["model_version"], answer.get("score")),
    )


def answering(folder: Path, scorer: Scorer, version: ModelVersion) -> Answering:
    """Decisions by the rules of the stack in `folder` and the scores of a version; made in no time."""
    book = load_rules(folder / "rules" / RULES.name)
    models = {
        MODEL: ModelUsed(name=version.name, version=version.version),
        RULES_STAGE: ModelUsed(name=RULES_STAGE, version=book.version),
    }
    calibrated = bool(getattr(scorer, "calibrated", False))

    def answer(event: Mapping[str, Any], values: Mapping[str, Value], score: float) -> Served:
        payment = Transaction.model_validate(event)
        ruled, reasons = book.judge(payment, values)
        found = settle(book, ruled, payment.transaction_id, score, payment.amount, calibrated=calibrated)
        return Served(
            system=SYSTEM,
            request_id=payment.transaction_id,
            event_id=payment.transaction_id,
            subjects={USER: payment.user_id, MERCHANT: payment.merchant_id},
            outputs={SCORE: score},
            action=found.action,
            intended=found.intended,
            propensity=found.propensity,
            models=models,
            features=dict(values),
            seen={},
            through={},
            timestamp=payment.timestamp,
            served_at=payment.timestamp,
            latency_ms=0,
            payload=payload_of([*reasons, *found.reasons], payment.amount, found.policy, found.costs or NO_COSTS),
        )

    return answer


def _on(
    source: WorldSource | FileSource, listed_cards: list[str], *, published: bool, second: SecondAct | None = None
) -> Story:
    return Story(
        system=SYSTEM,
        answer="decision",
        source=source,
        routes=ROUTES,
        prepare=lambda folder: {"LAMINA_RULES_FILE": str(write_rules(folder / "rules", RULES, listed_cards))},
        trained={"auc": "auc", "ap": "average_precision"},
        facts="recall_scenario",
        target=TARGET,
        tell=partial(_tell, day=source.training_date, published=published),
        second=second,
    )


def _handbook(folder: Path, scratch: Path) -> FileSource:
    """The handbook's transactions; the model is trained by the book's protocol.

    Labels are complete a week back, so a training on 2018-08-21 tests on 2018-08-08..14 and learns on 2018-07-25..31.
    """
    return FileSource(
        name="Fraud Detection Handbook (Le Borgne et al. 2022)",
        file=folder / "transactions.parquet",
        kind="transactions",
        mapping="handbook",
        live_day=date(2018, 9, 30),
        training_date=date(2018, 8, 21),
        train_days=7,  # as in the publication, so that the report's table compares like with like
        events=TRANSACTIONS,
        labels=FRAUD_REPORTS,
        label_days=7,
        about=FRAUD_LABELS.timestamp,
        truth=("transaction_id", "scenario"),
        scratch=scratch,
    )


def write_rules(folder: Path, template: Path, listed_cards: Iterable[str]) -> Path:
    """A copy of the rules in `template` with its lists, and `listed_cards` in the place of the shipped ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in template.parent.glob("*.txt"):
        (folder / file.name).write_text(file.read_text())
    (folder / "listed_cards.txt").write_text("".join(f"{card}\n" for card in listed_cards))
    copy = folder / template.name
    copy.write_text(template.read_text())
    return copy


def _tell(common: DemoResults, run: Run, *, day: date, published: bool) -> tuple[FraudResults, Page]:
    found = FraudResults(
        **{
            **dict(common),
            "detection": detection(run.settings, day, published=published),
            "decisions": decisions(run.live.answers),
            "remarks": [remark(run), *common.remarks],
        }
    )
    return found, page(found)


def detection(settings: Settings, day: date, *, published: bool) -> Detection:
    """The test figures and curves of the version trained for `day`; `published` puts the book's beside them."""
    evaluation, run_id = collect.evaluated(settings, SYSTEM, day)
    curves = collect.curves(settings, run_id)
    metrics = collect.figures(evaluation)
    return Detection(
        protocol=f"trained for {day}: a week of test days whose labels are complete, known cards left out",
        rows=evaluation.rows,
        frauds=evaluation.positives,
        scores=Scores(**{name: metrics.get(name) for name in Scores.model_fields}),
        published=PUBLISHED if published else None,
        published_by=PUBLISHED_BY if published else "",
        precision_recall=curves["pr"],
        roc=curves["roc"],
    )


def decisions(answers: Iterable[Mapping[str, Any]]) -> Decisions:
    """Answers by action, by the rules and risk bands that spoke, and by fallback."""
    actions, reasons, fallbacks = Counter[str](), Counter[str](), Counter[str]()
    for answer in answers:
        actions[answer["action"]] += 1
        reasons.update({r["code"] for r in answer["reasons"] if r["kind"] != "feature"})
        if answer["fallback"] != "none":
            fallbacks[answer["fallback"]] += 1
    return Decisions(by_action=actions, by_reason=reasons, fallbacks=fallbacks)


def remark(run: Run) -> str:
    """How many of the live day's frauds were stopped, and at what price."""
    frauds = set(run.day.truth["transaction_id"].to_pylist())
    stopped = [d for d in run.live.answers if d["action"] != "approve"]
    caught = sum(d["transaction_id"] in frauds for d in stopped)
    return (
        f"On the live day {caught} of {len(frauds)} frauds were rejected or sent to review, "
        f"with {len(stopped) - caught} honest transactions among {run.live.answered:,}."
    )


def page(results: FraudResults) -> Page:
    """What the page has beside the sections of every system."""
    return Page("decision", (_detected(results.detection), _decided(results.decisions)))


def _detected(found: Detection | None) -> Section:
    title = "Detection"
    if found is None:
        return Section(title)
    ours, theirs = found.scores, found.published or Scores()
    share = found.frauds / found.rows if found.rows else 0.0
    return Section(
        title,
        note=f"{found.protocol} {figure(found.rows)} transactions, {figure(found.frauds)} of them fraud.",
        measures=tuple(Measure(label, note, getattr(ours, k), getattr(theirs, k)) for k, label, note in SCORES),
        published_by=None if found.published is None else found.published_by,
        pictures=told_apart(found.precision_recall, found.roc, share),
        headline=Headline("average precision", figure(ours.average_precision), f"AUC {figure(ours.auc)}"),
    )


def _decided(found: Decisions | None) -> Section:
    title = "Decisions"
    if found is None:
        return Section(title)
    note = (
        "What the API answered on the live day. An answer may carry several reasons; a share is of all reasons given."
    )
    if found.fallbacks:
        by_name = ", ".join(f"{name} {figure(n)}" for name, n in found.fallbacks.items())
        note += f" Answered by a fallback: {by_name}."
    actions = Bars("actions", "Decisions by action", found.by_action, TONES)
    reasons = Bars("reasons", "Decisions by reason code", found.by_reason)
    return Section(title, note=note, pictures=(Picture(actions, "By action"), Picture(reasons, "By reason code")))
