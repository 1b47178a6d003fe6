"""Every command and every page that the README names exists."""

from __future__ import annotations

import re
import subprocess

import pytest
from typer.testing import CliRunner

from lamina.cli import app
from lamina.settings import ROOT

README = (ROOT / "README.md").read_text()
MAKE = sorted(set(re.findall(r"^make ([\w/.-]+)|`make ([\w/.-]+)", README, re.MULTILINE)))
LAMINA = sorted(set(re.findall(r"`lamina ([a-z-]+(?: [a-z][a-z-]*)?)", README)))
LINKS = sorted(set(re.findall(r"\]\(([^)#]+)\)", README)))


def test_there_are_two_commands_to_begin_with() -> None:
    assert "```sh\nmake demo\nmake test\n```" in README


@pytest.mark.parametrize("target", sorted({a or b for a, b in MAKE}))
def test_make_knows_the_target(target: str) -> None:
    run = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("command", LAMINA)
def test_lamina_knows_the_command(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("link", LINKS)
def test_the_page_exists(link: str) -> None:
    assert (ROOT / link).exists()
