from __future__ import annotations

import random
import socket
from pathlib import Path

from lamina.local import ports


def test_a_taken_port_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        taken.listen()
        number = taken.getsockname()[1]
        chosen = ports.choose({"a": number}, {}, random.Random(1))
    assert chosen["a"] != number
    assert ports.LOWEST <= chosen["a"] <= ports.HIGHEST


def test_all_ports_differ_and_zero_means_any() -> None:
    chosen = ports.choose({"a": 0, "b": 0, "c": 0}, {}, random.Random(1))
    assert len(set(chosen.values())) == 3
    assert 0 not in chosen.values()


def test_remembered_ports_come_first(tmp_path: Path) -> None:
    free = ports.random_port(set(), random.Random(3))
    ports.save(tmp_path / "ports.json", {"a": free})
    assert ports.choose({"a": 0}, ports.load(tmp_path / "ports.json"), random.Random(1)) == {"a": free}


def test_nothing_is_remembered_at_first(tmp_path: Path) -> None:
    assert ports.load(tmp_path / "ports.json") == {}


def test_a_random_port_is_within_what_its_program_takes() -> None:
    chosen = ports.choose({"a": 0, "b": 0}, {}, random.Random(1), {"a": (9201, 9299)})
    assert 9201 <= chosen["a"] <= 9299 and ports.LOWEST <= chosen["b"] <= ports.HIGHEST
