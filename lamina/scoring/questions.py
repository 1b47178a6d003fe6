"""A question to a model as a row of its system's requests: which columns it has to bring, of what type. Hot path."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lamina.catalog import CONTRACTS
from lamina.contracts.features import ColumnType, FeatureSet
from lamina.contracts.predictions import Question
from lamina.errors import ContractError
from lamina.semantics.events import value_of

USER_KEY, ITEM_KEY = "user_id", "item_id"
CONTRACT = "Question"
LONGEST_TEXT = 1024
LONG = 2**63
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class QuestionForm:
    """Makes rows of `features.request` from questions to a model that reads the features `names`.

    >>> from lamina.definitions.fraud import FEATURES
    >>> form = QuestionForm(FEATURES, ("avg_amount_1h", "is_online"))
    >>> form.item_key, form.needed
    ('merchant_id', ('amount', 'transaction_type'))
    """

    def __init__(self, features: FeatureSet, names: Sequence[str]) -> None:
        source = features.request
        keys = [e.key for e in features.entities]
        self.features = features
        self.item_key = ITEM_KEY if ITEM_KEY in keys else next((k for k in keys if k != USER_KEY), ITEM_KEY)
        given = {USER_KEY, self.item_key, source.id, source.timestamp}
        columns = _columns(features, frozenset(names)) | set(keys)
        self.needed = tuple(sorted(c for c in columns - given if source.is_required(c)))
        self._types = {column: kind for column, kind in source.columns.items() if column not in given}
        contract = CONTRACTS.get(source.topic)
        fields = {} if contract is None else contract.model_fields
        roots = dict.fromkeys(column.split(".")[0] for column in self._types)
        self._fields = {root: TypeAdapter(fields[root].rebuild_annotation()) for root in roots if root in fields}
        self._folders = {column.split(".")[0] for column in self._types if "." in column}

    def row(self, question: Question, *, id: str, at_ms: int) -> dict[str, object]:
        """The request that `question` asks about.

        Raises: ContractError: names the column that is missing, unknown or of another type.
        """
        for column, value in _leaves(question.context):
            if column in self._types:
                self._check(column, value)
            elif value is not None or column not in self._folders:
                raise _refused(column, f"no column of a question here; there are {', '.join(self._types)}")
        for column, field in self._fields.items():
            if (value := question.context.get(column)) is not None:
                self._check_field(column, field, value)
        for column in self.needed:
            if value_of(question.context, column) is None:
                raise _refused(column, "is missing, and features of the model are made from it")
        source = self.features.request
        return {
            **question.context,
            USER_KEY: question.user_id,
            self.item_key: question.item_id,
            source.id: id,
            source.timestamp: at_ms,
        }

    def _check(self, column: str, value: object) -> None:
        if value is None:
            return
        kind = self._types[column]
        if not _fits(kind, value):
            raise _refused(column, f"must be a {kind}")

    @staticmethod
    def _check_field(column: str, field: TypeAdapter[Any], value: object) -> None:
        """Hold a column to what the contract of the request's topic asks of it, as on every other way in."""
        try:
            field.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            raise _refused(".".join([column, *map(str, first["loc"])]), first["msg"]) from None


def _refused(column: str, reason: str) -> ContractError:
    return ContractError(CONTRACT, f"context.{column}", reason)


def _leaves(value: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from _leaves(part, f"{path}{name}.")
        else:
            yield f"{path}{name}", part


def _fits(kind: ColumnType, value: object) -> bool:
    if isinstance(value, bool) or kind == "boolean":
        return isinstance(value, bool) and kind == "boolean"
    if isinstance(value, str):
        return kind == "string" and len(value) <= LONGEST_TEXT and not _CONTROL.search(value)
    if isinstance(value, int):
        return kind in ("long", "double") and -LONG <= value < LONG
    return isinstance(value, float) and kind == "double" and math.isfinite(value)


def _columns(features: FeatureSet, names: frozenset[str]) -> set[str]:
    """Columns of the request that the features `names` are made from."""
    wanted = set(features.with_parts(names))
    found: set[str | None] = {f.column for f in features.crossed if f.name in wanted}
    for window in features.window_features:
        if window.name in wanted and window.view.include_request:
            where = window.aggregate.where
            found |= {window.aggregate.column, where.column if where else None}
    for feature in features.request_features:
        if feature.name in wanted:
            found |= {feature.column, feature.other}
    return {column for column in found if column}
