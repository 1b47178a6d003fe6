"""Results that look like those of a run: shapes and sizes are real, the figures are made up by a seeded generator."""

import random
from datetime import UTC, datetime
from itertools import pairwise

from lamina.definitions import load
from lamina.demo.stories.fraud import Decisions, Detection, FraudResults, Scores
from lamina.reporting.results import (
    Environment,
    FeatureParity,
    Freshness,
    Hop,
    Latency,
    Model,
    Percentiles,
    Stage,
)


def _times(name: str, count: int, p50: float, p95: float, p99: float, p999: float) -> Percentiles:
    return Percentiles(name=name, count=count, p50_ms=p50, p95_ms=p95, p99_ms=p99, p999_ms=p999)


def results() -> FraudResults:
    rng = random.Random(7)
    waits = sorted(rng.lognormvariate(6.0, 0.45) for _ in range(9_488))
    edges = [50.0 * i for i in range(41)]
    counts = [sum(low <= wait < high for wait in waits) for low, high in pairwise(edges)]
    return FraudResults(
        system="fraud",
        input_name="fraud_handbook",
        started_at=datetime(2026, 3, 14, 9, 26, tzinfo=UTC),
        seconds=431.7,
        stages=[
            Stage(name="start the stack", seconds=41.2, figures={"services": 7}),
            Stage(name="import history", rows=1_274_602, seconds=18.4, figures={"rejected": 0}),
            Stage(name="features_daily 2018-08-21", rows=6_381_113, seconds=143.0, figures={"tiles": 6_381_113}),
            Stage(name="ml_model_training 2018-08-21", rows=134_480, seconds=81.9, figures={"auc": 0.879, "ap": 0.648}),
            Stage(name="live day", rows=9_488, seconds=47.4, figures={"rate": "200/s", "errors": 0}),
            Stage(name="features_daily 2018-08-22", rows=6_428_910, seconds=99.8, figures={"stale": 37, "mismatch": 0}),
        ],
        hops=[
            Hop(path="transactions", name="posted", rows=9_488, expected=9_488, note="requests sent by the client"),
            Hop(path="transactions", name="on Kafka", rows=9_488, expected=9_488, note="offsets of transactions"),
            Hop(
                path="transactions",
                name="archived",
                rows=9_486,
                expected=9_488,
                aside=2,
                note="rows in the lake; 2 dead letters",
            ),
            Hop(
                path="decisions", name="answered", rows=9_488, expected=9_488, note="answers of the API with status 200"
            ),
            Hop(
                path="decisions",
                name="decisions on Kafka",
                rows=9_488,
                expected=9_488,
                note="offsets of predictions-fraud",
            ),
            Hop(path="labels", name="posted labels", rows=9_461, note="labels that came due on the live day"),
            Hop(path="labels", name="labels on Kafka", rows=9_461, expected=9_461, note="offsets of fraud-labels"),
            Hop(path="speed layer", name="speed tiles", rows=31_077, note="keys of feature-tiles, after compaction"),
        ],
        detection=Detection(
            protocol="Trained on 2018-07-25..31, tested on 2018-08-08..14, cards known as compromised left out.",
            rows=58_264,
            frauds=385,
            scores=Scores(
                auc=0.8791,
                average_precision=0.6482,
                precision_at_95_recall=0.0091,
                recall_at_fpr_001=0.5454,
                card_precision_100=0.2914,
                money_caught=0.6672,
            ),
            published=Scores(auc=0.862, average_precision=0.639, card_precision_100=0.273),
            published_by="published XGBoost",
            precision_recall=[(i / 100, max(0.006, 1 - (i / 100) ** 3.2 * 1.02)) for i in range(101)],
            roc=[(10 ** (-5 + 5 * i / 100), min(1.0, 0.28 + 0.72 * (i / 100) ** 1.6)) for i in range(101)],
        ),
        decisions=Decisions(
            by_action={"approve": 9_251, "review": 172, "reject": 65},
            by_reason={
                "model_score": 149,
                "unusual_amount": 71,
                "high_risk_country": 38,
                "impossible_velocity": 9,
                "listed_card": 4,
            },
        ),
        latency=Latency(
            rate_per_s=200,
            client=_times("client, open loop", 9_488, 6.2, 11.9, 24.8, 61.3),
            stages=[
                _times("server, all", 9_488, 4.7, 9.1, 18.8, 44.0),
                _times("rules", 9_488, 0.08, 0.17, 0.41, 1.9),
                _times("features from Redis", 9_488, 1.1, 2.4, 6.7, 15.2),
                _times("model", 9_488, 1.6, 3.2, 6.1, 12.0),
                _times("publish", 9_488, 0.31, 0.88, 2.9, 9.4),
            ],
            target=_times("aimed at", 0, 25, 45, 65, 100),
        ),
        freshness=Freshness(
            percentiles=_times("event on Kafka to readable in Redis", 9_488, 403, 846, 1_152, 1_609),
            edges_ms=edges,
            counts=counts,
        ),
        parity=[
            FeatureParity(name=name, compared=9_486, match=9_486 - stale, stale=stale)
            for name in load("fraud").model_features
            for stale in [rng.choice((0, 0, 0, 3, 11)) if name.endswith("1h") else 0]
        ],
        model=Model(
            name="fraud",
            version="1",
            logical_date="2018-08-21",
            features=29,
            git_commit="0a47fa2",
            outcome="deployed: there was no champion",
            facts={"members": "0.6 XGBoost + 0.4 LightGBM", "training rows": 67_240, "used after sampling": 6_578},
        ),
        environment=Environment(
            machine="Linux x86_64",
            cores=2,
            memory_gib=23.4,
            commit="0a47fa2",
            versions={"Python": "3.11.7", "Java": "17.0.11", "Spark": "4.3.0", "Flink": "2.3.0", "Kafka": "4.1.0"},
        ),
        remarks=[
            "A day was sent in 47 seconds, so the speed layer is 1,800 times later in event time than it would be live."
        ],
    )
