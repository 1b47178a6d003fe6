"""The features that the fraud handbook publishes, as definitions, and how values of them agree with the authors'."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lamina.definitions.fraud import FEATURES, HANDBOOK_WINDOWS, MERCHANT_FRAUD, MERCHANT_TRAFFIC, USER_SPEND

HANDBOOK = dataclasses.replace(
    FEATURES,
    views=tuple(
        dataclasses.replace(v, windows=HANDBOOK_WINDOWS) for v in (USER_SPEND, MERCHANT_TRAFFIC, MERCHANT_FRAUD)
    ),
    ratios=tuple(
        r for r in FEATURES.ratios if r.name in {f"merchant_fraud_risk_{window.label}" for window in HANDBOOK_WINDOWS}
    ),
    elapsed=(),
    request_features=tuple(f for f in FEATURES.request_features if f.name in ("amount", "weekend", "night")),
    model_features=(),
)
AUTHORS = {
    "TX_DURING_WEEKEND": "weekend",
    "TX_DURING_NIGHT": "night",
    **{f"CUSTOMER_ID_NB_TX_{w.s // 86_400}DAY_WINDOW": f"user_txn_count_{w.label}" for w in HANDBOOK_WINDOWS},
    **{f"CUSTOMER_ID_AVG_AMOUNT_{w.s // 86_400}DAY_WINDOW": f"user_avg_amount_{w.label}" for w in HANDBOOK_WINDOWS},
    **{f"TERMINAL_ID_NB_TX_{w.s // 86_400}DAY_WINDOW": f"merchant_txn_count_{w.label}" for w in HANDBOOK_WINDOWS},
    **{f"TERMINAL_ID_RISK_{w.s // 86_400}DAY_WINDOW": f"merchant_fraud_risk_{w.label}" for w in HANDBOOK_WINDOWS},
}
"""The authors' names of the features, and ours."""


@dataclass(frozen=True)
class Agreement:
    """Values compared with the authors', and how they differ: by a tie within a second, or otherwise."""

    compared: int
    ties: int
    mismatches: int


def compare(found: pd.DataFrame, data: Path) -> Agreement:
    """How `found` agrees with the authors' features, which they give for even customers."""
    authors = pd.read_parquet(data / "features_even_customers.parquet")
    found["TRANSACTION_ID"] = found["transaction_id"].astype("int64")
    same_second = found.duplicated(["user_id", "timestamp"], keep=False)
    both = authors.merge(found.assign(tied=same_second), on="TRANSACTION_ID")
    ties = mismatches = 0
    for theirs, ours in AUTHORS.items():
        differs = ~np.isclose(both[theirs], both[ours], rtol=1e-9, atol=1e-9)
        excused = both["tied"] if ours.startswith("user_") else pd.Series(False, index=both.index)
        ties += int((differs & excused).sum())
        mismatches += int((differs & ~excused).sum())
    return Agreement(len(both) * len(AUTHORS), ties, mismatches)
