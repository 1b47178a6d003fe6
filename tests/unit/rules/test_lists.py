"""Lists as people write them: read where they say one thing, refused by line where they do not."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest

from lamina.rules.book import RulesError, load_rules
from lamina.rules.kinds import ImpossibleVelocity, ListedCard
from tests.unit.serving.transactions import transaction

TOKEN, NUMBER = "card-ad773f96b5", "4111111111111111"


def loaded(folder: Path, text: str | bytes, **options: str) -> ListedCard:
    (folder / "cards.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    rule = ListedCard(code="c", action="reject", kind="listed_card", file="cards.txt", **options)
    rule.load(folder)
    return rule


@pytest.mark.parametrize(
    "line",
    [
        TOKEN, f"\ufeff{TOKEN}", f'"{TOKEN}"', f"'{TOKEN}'", f"\u201c{TOKEN}\u201d", f"{TOKEN},", f'"{TOKEN}",',
        f"{TOKEN};",
        f"  {TOKEN}\t", f"{TOKEN} # stolen", f"{TOKEN}\r", f"\u00a0{TOKEN}\u00a0", f'" {TOKEN} "', f"{TOKEN} ,",
    ],
)  # fmt: skip
def test_what_stands_around_an_entry_does_not_hide_it(tmp_path: Path, line: str) -> None:
    rule = loaded(tmp_path, f"{line}\ncard-other\n")
    assert rule.fires(transaction(card_token=TOKEN), {}) == f"card ***96b5 is listed in {rule.file}"
    assert rule.fires(transaction(card_token="card-other"), {}) is not None
    assert rule.fires(transaction(card_token="card-third"), {}) is None


@pytest.mark.parametrize(
    "line",
    [
        NUMBER, "4111-1111-1111-1111", f"card-{NUMBER}", f'"{NUMBER}",', f"{TOKEN},stolen", f"{TOKEN} stolen",
        f'"{TOKEN}', "card_token", "CardToken", "CARD-NUMBER", "NULL", "abc", f"{TOKEN}\x00", "4.1E+15", "cärd-1",
    ],
)  # fmt: skip
def test_what_could_never_match_is_refused_by_its_line_and_not_repeated(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"cards\.txt: 1 entries are not card tokens.*: line 3$") as raised:
        loaded(tmp_path, f"# lost\n{TOKEN}\n{line}\n")
    assert NUMBER not in str(raised.value) and "stolen" not in str(raised.value)


def test_many_wrong_lines_are_counted_and_some_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"7 entries are not .*: line 1, 2, 3, 4, 5 and more$"):
        loaded(tmp_path, "a b\n" * 7)


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cards\.txt is not UTF-8"):
        loaded(tmp_path, TOKEN.encode("utf-16"))


def test_digests_are_read_in_either_case(tmp_path: Path) -> None:
    digest = hmac.new(b"pepper", TOKEN.encode(), hashlib.sha256).hexdigest()
    for line in (digest, digest.upper(), f'"{digest}",'):
        assert loaded(tmp_path, line, hashing="sha256", salt="pepper").fires(transaction(card_token=TOKEN), {})
    for line in (NUMBER, TOKEN, digest[:-1]):
        with pytest.raises(ValueError, match="64 hexadecimal digits: line 1"):
            loaded(tmp_path, line, hashing="sha256", salt="pepper")


def test_a_rules_file_names_the_list_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "cards.txt").write_text(f"{NUMBER}\n")
    (tmp_path / "rules.yaml").write_text(
        "version: '1'\nrisk: [{reject: 0.9, review: 0.8}]\n"
        "rules: [{code: c, kind: listed_card, action: reject, file: cards.txt}]\n"
    )
    with pytest.raises(RulesError, match=r"rules\.yaml: cards\.txt: 1 entries .* line 1"):
        load_rules(tmp_path / "rules.yaml")


@pytest.mark.parametrize("km", [20_016, 1e9, float("inf"), float("nan")])
def test_a_distance_that_no_two_places_have_is_refused(km: float) -> None:
    with pytest.raises(ValueError, match="max_km"):
        ImpossibleVelocity(code="v", action="reject", kind="impossible_velocity", max_km=km, within_minutes=60)
