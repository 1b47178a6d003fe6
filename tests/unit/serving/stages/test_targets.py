"""Conditions that no transaction can fulfil are refused when the experiment file is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamina.contracts.transactions import Transaction
from lamina.contracts.user_events import UserEvent
from lamina.experiments.experiment import Condition
from lamina.experiments.file import ExperimentError, load_experiments
from serving.stages.targets import Targets

TARGETS = Targets(Transaction)


def written(folder: Path, targeting: str) -> Path:
    file = folder / "experiment.yaml"
    arms = "[{name: old, model: champion, weight: 9}, {name: new, model: challenger, weight: 1}]"
    experiment = f"{{name: trees, salt: s, control: old, arms: {arms}, targeting: {targeting}}}"
    file.write_text(f'version: "1"\nexperiment: {experiment}\n')
    return file


@pytest.mark.parametrize(
    ("targeting", "words"),
    [
        ("[{field: country, one_of: [Portugal]}]", "no transaction has the country 'Portugal'"),
        ("[{field: country, one_of: [PT, es]}]", "no transaction has the country 'es'"),
        ("[{field: transaction_type, one_of: [web]}]", "no transaction has the transaction_type 'web'"),
        ("[{field: user_id, one_of: ['7.0']}]", "no transaction has the user_id '7.0'"),
        ("[{field: currency, one_of: ['']}]", "no transaction has the currency ''"),
        ("[{field: amount, one_of: ['100']}]", "amount is a number: give `at_least`"),
        ("[{field: country, below: 7}]", "country is a text: give `one_of`"),
        ("[{field: amount, at_least: 2.0e+9}]", "no transaction has amount 2e+09 or more"),
        ("[{field: amount, below: -1.0e+9}]", "no transaction has amount below -1e+09"),
        ("[{field: timestamp, below: 1533686400}]", "no transaction has timestamp below"),
        (
            "[{field: timestamp, at_least: 1533686400}]",
            "milliseconds since the epoch, of the years 2000 to 2100; this l",
        ),
        ("[{field: amount, at_least: 100, below: 100}]", "no number is at least 100 and below 100"),
        ("[{field: amount, at_least: .inf}]", "finite"),
        ("[{field: amount, below: .nan}]", "finite"),
        ("[{field: amount, above: 100}]", "above"),
        ("[{field: country, one_of: [PT]}, {field: country, one_of: [ES]}]", "no 'country' is what all"),
        ("[{field: amount, at_least: 100}, {field: amount, below: 50}]", "no 'amount' is what all"),
    ],
)
def test_nobody_would_take_part(tmp_path: Path, targeting: str, words: str) -> None:
    with pytest.raises(ExperimentError) as raised:
        load_experiments(written(tmp_path, targeting), TARGETS.fields, TARGETS.never_holds)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "targeting",
    [
        "[]",
        "[{field: country, one_of: [PT, ES]}, {field: country, one_of: [ES, FR]}]",
        "[{field: amount, at_least: 10}, {field: amount, below: 50}, {field: amount, at_least: 20}]",
        "[{field: amount, at_least: -1.0e+12}, {field: transaction_type, one_of: [online]}]",
        "[{field: user_id, one_of: [u7]}]",
        "[{field: timestamp, at_least: 1533686400000}]",
    ],
)
def test_what_somebody_fulfils_is_taken(tmp_path: Path, targeting: str) -> None:
    assert load_experiments(written(tmp_path, targeting), TARGETS.fields, TARGETS.never_holds).experiment is not None


def test_what_may_be_spoken_of() -> None:
    """Neither the card nor where it was; and of any contract, with its own bounds."""
    assert TARGETS.fields == frozenset(Transaction.model_fields) - {"card_token", "location"}
    shop = Targets(UserEvent)
    assert shop.fields == frozenset(UserEvent.model_fields)
    found = [
        shop.never_holds(Condition(field=field, **limits))
        for field, limits in (
            ("purchase_amount", {"at_least": 2e9}),
            ("purchase_amount", {"below": 0}),
            ("purchase_amount", {"at_least": 5}),
            ("timestamp", {"at_least": 1533686400}),
            ("event_type", {"one_of": ("page_view",)}),
            ("page", {"below": 3}),
        )
    ]
    assert [None if each is None else each[:40] for each in found] == [
        "no user event has purchase_amount 2e+09 ",
        "no user event has purchase_amount below ",
        None,
        "at_least must be milliseconds since the ",
        None,
        "page is a text: give `one_of`",
    ]
