"""The rules file: what is refused, with which words, and what a reload does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamina.monitoring import metrics
from lamina.rules.book import RulesError, load_rules
from lamina.settings import Settings
from serving.systems.fraud.rule_engine import RuleEngine
from tests.unit.serving.transactions import transaction

COUNTRY = "{code: country, kind: listed_country, action: review, file: countries.txt}"
CARD = "{code: card, kind: listed_card, action: reject, file: cards.txt}"
RISK = "[{below: 100, reject: 0.95, review: 0.85}, {reject: 0.8, review: 0.6}]"


def write(folder: Path, *rules: str, version: str = '"7"', risk: str = RISK, more: str = "") -> Path:
    (folder / "countries.txt").write_text("XA\n")
    (folder / "cards.txt").write_text("card-ad773f96b5\n")
    file = folder / "rules.yaml"
    file.write_text(f"version: {version}\nrules: [{', '.join(rules)}]\nrisk: {risk}\n{more}")
    return file


def test_shipped_rules_load() -> None:
    book = load_rules(Settings().rules_file)
    assert {rule.code: rule.action for rule in book.rules} == {
        "impossible_velocity": "reject",
        "listed_card": "reject",
        "high_risk_country": "review",
        "unusual_amount": "review",
    }
    assert [(band.below, band.reject, band.review) for band in book.risk] == [
        (100, 0.95, 0.85),
        (1000, 0.90, 0.75),
        (None, 0.80, 0.60),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"rules": ["{code: a, kind: astrology, action: review}"]}, ["rules.a", "astrology"]),
        ({"rules": [COUNTRY.replace("file", "fill")]}, ["rules.country.fill", "Extra inputs"]),
        ({"rules": [COUNTRY.replace("review", "approve")]}, ["rules.country.action", "'review' or 'reject'"]),
        ({"rules": [COUNTRY, COUNTRY]}, ["codes used twice: country"]),
        ({"rules": [COUNTRY.replace("countries.txt", "absent.txt")]}, ["absent.txt"]),
        ({"more": "colour: red\n"}, ["colour", "Extra inputs"]),
        ({"version": "7"}, ["version", "valid string"]),
        ({"risk": "[]"}, ["risk", "last band"]),
        ({"risk": "[{below: 100, reject: 0.9, review: 0.8}]"}, ["risk", "last band"]),
        (
            {
                "risk": "[{below: 9, reject: 0.9, review: 0.8}, {below: 9, reject: 0.9, review: 0.8}, "
                "{reject: 0.9, review: 0.8}]"
            },
            ["risk", "go up"],
        ),
        ({"risk": "[{reject: 0.5, review: 0.8}]"}, ["risk.0", "must not be above"]),
        ({"risk": "[{reject: 1.5, review: 0.8}]"}, ["risk.0.reject"]),
        ({"more": "\t"}, ["rules.yaml"]),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: dict[str, object], words: list[str]) -> None:
    rules = content.pop("rules", [])
    assert isinstance(rules, list)
    file = write(tmp_path, *rules, **content)  # type: ignore[arg-type]
    with pytest.raises(RulesError) as refused:
        load_rules(file)
    for word in words:
        assert word in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="absent"):
        RuleEngine(tmp_path / "absent.yaml")


def test_the_most_severe_action_stands(tmp_path: Path) -> None:
    book = load_rules(write(tmp_path, COUNTRY, CARD))
    assert book.judge(transaction(), {})[0] == "reject"
    action, reasons = book.judge(transaction(country="XA"), {})
    assert (action, [r.code for r in reasons]) == ("reject", ["country", "card"])
    assert book.judge(transaction(country="XA", card_token="other"), {})[0] == "review"
    assert book.judge(transaction(card_token="other"), {}) == ("approve", [])


def _touch(file: Path) -> None:
    now = file.stat().st_mtime_ns + 1_000_000_000
    os.utime(file, ns=(now, now))


def test_a_changed_file_is_taken_over_and_a_bad_one_is_not(tmp_path: Path) -> None:
    engine = RuleEngine(write(tmp_path, COUNTRY))
    assert not engine.reload()

    _touch(write(tmp_path, COUNTRY, version='"8"'))
    assert engine.reload()
    assert engine.book.version == "8"

    refused = metrics.RULES_RELOADS.labels("refused")._value.get()
    _touch(write(tmp_path, "{code: a, kind: astrology}", version='"9"'))
    _touch(tmp_path / "rules.yaml")
    assert not engine.reload()
    assert engine.book.version == "8"
    assert engine.problem is not None and "astrology" in engine.problem
    assert metrics.RULES_RELOADS.labels("refused")._value.get() == refused + 1
    assert not engine.reload()  # not counted again until it changes again
    assert metrics.RULES_RELOADS.labels("refused")._value.get() == refused + 1

    for _ in range(3):
        _touch(write(tmp_path, COUNTRY, version='"10"'))
    _touch(tmp_path / "rules.yaml")
    assert engine.reload()
    assert engine.book.version == "10"
    assert not engine.problem


def test_a_changed_list_is_taken_over(tmp_path: Path) -> None:
    engine = RuleEngine(write(tmp_path, CARD))
    assert engine.book.judge(transaction(card_token="card-new"), {})[0] == "approve"
    (tmp_path / "cards.txt").write_text("card-new\ncard-ad773f96b5\n")
    assert engine.reload()
    assert engine.book.judge(transaction(card_token="card-new"), {})[0] == "reject"
