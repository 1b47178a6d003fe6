"""Shipped mappings on made-up rows in the shape of the files they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lamina.ingest.mapping import load_mapping
from lamina.ingest.transactions import import_transactions
from tests.unit.ingest.test_times import ms
from tests.unit.ingest.test_transactions import stored


def imported(
    tmp_path: Path, name: str, mapping: str, content: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Transactions and labels, in the file's order."""
    path = tmp_path / name
    path.write_text(content)
    report = import_transactions(path, load_mapping(mapping), str(tmp_path / "lake"))
    assert (report.rejected, report.balanced) == (0, True), report.reasons
    labels = stored(tmp_path / "lake", "fraud-labels").to_pylist() if report.labels else []
    return stored(tmp_path / "lake", "transactions").sort_by("timestamp").to_pylist(), labels


SPARKOV = (
    "ssn|cc_num|first|last|gender|street|city|state|zip|lat|long|city_pop|job|dob|acct_num|profile|trans_num|trans_date|"
    "trans_time|unix_time|category|amt|is_fraud|merchant|merch_lat|merch_long"
)
PERSON = "000-00-0000|4000001234567899|Ann|Bee|F|1 Road|Town|PA|17000|39.8|-77.5|1900|Baker, retired|1980-01-01"


@pytest.mark.parametrize(("name", "separator"), [("adults_2550_female_rural_0-99.csv", "|"), ("commas.csv", ",")])
def test_sparkov(tmp_path: Path, name: str, separator: str) -> None:
    content = "\n".join([
        SPARKOV,
        f"{PERSON}|100000000001|p.json|abc|2013-09-20|22:08:45|1379714925|misc_net|50.80|1|fraud_Shop|40.75|-77.23",
        f"{PERSON}|100000000001|p.json|abd|2013-09-21|22:08:45|1379801325|gas_transport|7|0|fraud_Oil|40.5|-77",
        "",
    ])  # fmt: skip
    if separator == ",":
        content = content.replace("Baker, retired", "Baker").replace("|", ",")
    first, second = imported(tmp_path, name, "sparkov", content)[0]
    assert first["transaction_id"] == "abc-1379714925"
    assert (first["user_id"], first["amount"], first["currency"]) == ("customer-100000000001", 50.8, "USD")
    assert first["timestamp"] == ms("2013-09-20T22:08:45Z")
    assert first["location"] == {"lat": 40.75, "lon": -77.23}
    assert [row["transaction_type"] for row in (first, second)] == ["online", "in_store"]
    assert first["card_token"].startswith("card-")
    assert "4000001234567899" not in first["card_token"]


def test_paysim(tmp_path: Path) -> None:
    content = (
        "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,newbalanceDest,isFraud,"
        "isFlaggedFraud\n"
        "1,PAYMENT,9839.64,C1231006815,170136.0,160296.36,M1979787155,0.0,0.0,0,0\n"
        "1,CASH_OUT,181.0,C840083671,181.0,0.0,C38997010,21182.0,0.0,1,0\n"
        "25,CASH_IN,5.5,C2,0,5.5,C3,0,0,0,0\n"
    )
    rows, labels = imported(tmp_path, "PS_20174392719_1491204439457_log.csv", "paysim", content)
    assert [row["transaction_id"] for row in rows] == ["paysim-1", "paysim-2", "paysim-3"]
    assert [row["user_id"] for row in rows] == ["C1231006815", "C840083671", "C2"]
    assert [row["transaction_type"] for row in rows] == ["online", "atm", "atm"]
    assert [row["timestamp"] for row in rows] == [
        ms("2017-01-01T01:00Z"), ms("2017-01-01T01:00Z"), ms("2017-01-02T01:00Z"),
    ]  # fmt: skip
    assert rows[0]["amount"] == 9839.64
    assert rows[0]["merchant_category"] == "PAYMENT"
    assert [label["transaction_id"] for label in labels] == ["paysim-2"]


def test_ulb(tmp_path: Path) -> None:
    names = ["Time", *(f"V{number}" for number in range(1, 29)), "Amount", "Class"]
    rows = [(0, 149.62, 0), (1, 0, 1), (100000, 2.69, 0)]
    lines = [
        ",".join([str(time), *["-1.3598071336738"] * 28, str(amount), f'"{fraud}"']) for time, amount, fraud in rows
    ]
    content = "\n".join([",".join(f'"{name}"' for name in names), *lines, ""])
    found, labels = imported(tmp_path, "creditcard.csv", "ulb", content)
    assert [row["transaction_id"] for row in found] == ["ulb-1", "ulb-2", "ulb-3"]
    assert [row["timestamp"] for row in found] == [
        ms("2013-09-01T00:00Z"), ms("2013-09-01T00:00:01Z"), ms("2013-09-02T03:46:40Z"),
    ]  # fmt: skip
    assert [row["amount"] for row in found] == [149.62, 0, 2.69]
    assert [label["transaction_id"] for label in labels] == ["ulb-2"]


def test_ieee_cis(tmp_path: Path) -> None:
    names = ["TransactionID", "isFraud", "TransactionDT", "TransactionAmt", "ProductCD"]
    names += [f"card{number}" for number in range(1, 7)] + ["addr1", "addr2", "dist1", "dist2", "P_emaildomain"]
    names += ["R_emaildomain", *(f"C{n}" for n in range(1, 15)), *(f"D{n}" for n in range(1, 16))]
    names += [*(f"M{n}" for n in range(1, 10)), *(f"V{n}" for n in range(1, 340))]
    assert len(names) == 394
    starts = [
        "2987000,0,86400,68.5,W,13926,,150.0,discover,142.0,credit,315.0,87.0",
        "2987001,1,86401,29.0,H,2755,404.0,150.0,mastercard,102.0,credit,,87.0",
    ]
    lines = [start + "," * (len(names) - start.count(",") - 1) for start in starts]
    rows, labels = imported(tmp_path, "train_transaction.csv", "ieee-cis", "\n".join([",".join(names), *lines, ""]))
    assert [row["transaction_id"] for row in rows] == ["2987000", "2987001"]
    assert [row["user_id"] for row in rows] == ["13926-none-315", "2755-404-none"]
    assert [row["card_token"] for row in rows] == ["card-13926-bnone-c150-d142", "card-2755-b404-c150-d102"]
    assert [row["timestamp"] for row in rows] == [ms("2017-12-02T00:00Z"), ms("2017-12-02T00:00:01Z")]
    assert (rows[0]["currency"], rows[0]["amount"], rows[0]["merchant_category"]) == ("USD", 68.5, "W")
    assert [label["transaction_id"] for label in labels] == ["2987001"]


KAGGLE = (
    ",trans_date_trans_time,cc_num,merchant,category,amt,first,last,gender,street,city,state,zip,lat,long,city_pop,job,"
    "dob,trans_num,unix_time,merch_lat,merch_long,is_fraud"
)
CARDS = ("4000001234567899", "30009800000003", "4000001234567899")


def test_sparkov_in_kaggles_edition(tmp_path: Path) -> None:
    person = 'Ann,Bee,F,1 Road,Town,NC,28654,36.1,-81.2,3495,"Psychologist, counselling",1988-03-09'
    rows = [
        ("2019-01-01 00:00:18", '"fraud_Rippin, Kub and Mann",misc_net,4.97', "0b242abb623afc57", 1325376018, 0),
        ("2019-01-01 00:00:44", "fraud_Zieme,grocery_pos,107.23", "1f76529f85747349", 1325376044, 1),
        ("2020-12-31 23:59:34", "fraud_Zieme,travel,1", "a1a22d70485983ea", 1388534374, 0),
    ]
    lines = [
        f"{number},{at},{card},{bought},{person},{id},{unix_time},36.01,-82.05,{fraud}"
        for number, (card, (at, bought, id, unix_time, fraud)) in enumerate(zip(CARDS, rows, strict=True))
    ]
    content = "\n".join([KAGGLE, *lines, ""])
    found, labels = imported(tmp_path, "fraudTrain.csv", "sparkov-kaggle", content)
    assert [row["transaction_id"] for row in found] == [id for *_, id, _, _ in rows]
    assert [row["timestamp"] for row in found] == [
        ms("2019-01-01T00:00:18Z"), ms("2019-01-01T00:00:44Z"), ms("2020-12-31T23:59:34Z"),
    ]  # fmt: skip
    first, second, third = found
    assert (first["amount"], first["currency"]) == (4.97, "USD")
    assert (first["merchant_id"], first["merchant_category"]) == ("fraud_Rippin, Kub and Mann", "misc_net")
    assert [row["transaction_type"] for row in found] == ["online", "in_store", "in_store"]
    assert first["location"] == {"lat": 36.01, "lon": -82.05}
    assert (first["user_id"], first["card_token"]) == (third["user_id"], third["card_token"])
    assert first["user_id"] != second["user_id"]
    assert first["user_id"].removeprefix("customer-") == first["card_token"].removeprefix("card-")
    assert not any(card in str(found + labels) for card in CARDS)
    assert [label["transaction_id"] for label in labels] == ["1f76529f85747349"]
