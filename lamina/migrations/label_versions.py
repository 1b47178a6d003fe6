"""What features of fraud's labels were called before several labels of one transaction were told apart.

Since then the views of labels are of version 2: of a transaction's labels the one that stands is counted, not the first
to arrive. Where no transaction has labels that differ, both are the same values under two names.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.dataset as ds

from lamina.contracts.features import FeatureSet
from lamina.lake import layout
from lamina.lake.write import open_lake
from lamina.scoring.inputs import computation_of

SPECS = {
    "fraud_labels@1s#cf9a5c": "fraud_labels@1s#e93742",
    "fraud_reports@1h#a11941": "fraud_reports@1h#996552",
}
"""The tile specs of labels by merchant: what they were called, and what they are called now."""

SOURCES = ("fraud_labels", "fraud_reports")
VERSION = " version 2"
CATEGORY = " as a category"
"""What the meaning of a feature of the request did not say, where its input has categories."""
LABEL = ("transaction_id", "is_fraud", "transaction_timestamp", "timestamp")


def one_label_each(lake: str, topics: Iterable[str]) -> bool:
    """Whether the lake has labels, on any of `topics`, and none of them speaks otherwise of a transaction than another.

    Labels that were sent twice are one.
    """
    tables = [_labels(lake, topic) for topic in topics]
    known = pa.concat_tables(tables).group_by(list(LABEL)).aggregate([])
    return bool(known.num_rows) and known.num_rows == len(known[LABEL[0]].unique())


def _labels(lake: str, topic: str) -> pa.Table:
    fs, path = open_lake(layout.topic(lake, topic))
    columns = pa.schema([(LABEL[0], pa.string()), (LABEL[1], pa.bool_()), *((name, pa.int64()) for name in LABEL[2:])])
    # A folder, not its files: what a writer has staged in it is passed over.
    found = ds.dataset(path if fs.exists(path) else [], schema=columns, filesystem=fs, format="parquet")
    # What has none is of another topic, which has the name now.
    return found.to_table(filter=ds.field(LABEL[0]).is_valid())


def said_before(features: FeatureSet, name: str, *, one_label: bool) -> tuple[str, ...]:
    """In which words a version before told what feature `name` means today.

    Args: one_label: no transaction has labels that differ, so that features of labels mean what they meant.

    >>> from lamina.definitions.fraud import FEATURES
    >>> said_before(FEATURES, "device_type", one_label=False)
    ('field(device_type) of the request',)
    >>> said_before(FEATURES, "merchant_reports_1d", one_label=True)
    ('count(*) of fraud_reports where is_fraud = TRUE by merchant over 1d at 1h',)
    >>> said_before(FEATURES, "merchant_reports_1d", one_label=False)
    ()
    """
    now = computation_of(features, name)
    before = now.replace(CATEGORY, "")
    if one_label and any(f" of {source} " in before for source in SOURCES):
        before = before.replace(VERSION, "")
    return () if before == now else (before,)
