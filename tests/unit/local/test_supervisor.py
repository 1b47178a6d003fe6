from __future__ import annotations

import configparser
import os
from pathlib import Path

import pytest

from lamina.errors import StackError
from lamina.local.layout import SOCKET_PATH_LIMIT, Layout
from lamina.local.service import Program, StackPlan
from lamina.local.services import PORTS, SERVICES
from lamina.local.supervisor import program_section


def _plan(folder: Path) -> StackPlan:
    numbers = {name: 20_000 + number for number, name in enumerate(PORTS)}
    return StackPlan(
        Layout(folder), numbers, {"airflow_fernet": "s3cret", "airflow_api": "s3cret", "airflow_jwt": "s3cret"}
    )


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_well_formed(name: str, tmp_path: Path) -> None:
    service = SERVICES[name](_plan(tmp_path))
    assert service.name == name
    assert service.programs
    assert service.deadline_s > 0
    assert service.needs <= set(SERVICES)
    for program in service.programs:
        parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
        parser.read_string(program_section(program, Layout(tmp_path), 10))
        assert parser.get(f"program:{program.name}", "autostart") == "false"


def test_program_names_are_unique(tmp_path: Path) -> None:
    names = [program.name for build in SERVICES.values() for program in build(_plan(tmp_path)).programs]
    assert len(names) == len(set(names))


def test_building_a_service_writes_and_opens_nothing(tmp_path: Path) -> None:
    for build in SERVICES.values():
        build(_plan(tmp_path / "absent"))
    assert not (tmp_path / "absent").exists()


def test_percent_signs_and_quotes_reach_the_child(tmp_path: Path) -> None:
    section = program_section(Program("p", ("true",), {"A": '{"x": "50%"}'}), Layout(tmp_path), 10)
    assert """A='{"x": "50%%"}'""" in section


def test_a_value_that_cannot_be_passed_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="both kinds of quotes"):
        program_section(Program("p", ("true",), {"A": "\"'"}), Layout(tmp_path), 10)


def test_the_socket_fits_whatever_the_path() -> None:
    assert len(os.fsencode(Layout(Path("/" + "x" * 200)).socket)) <= SOCKET_PATH_LIMIT


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "s3cret" not in repr(_plan(tmp_path))
