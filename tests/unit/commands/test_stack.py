"""`lamina up`: which stack it starts, and what it says at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lamina.cli import app
from lamina.demo import left
from lamina.errors import StackError
from lamina.local import ports
from lamina.local.services import PORTS
from lamina.local.stack import Stack


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMINA_STACK_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Stack]:
    """Stacks that were asked to start; their ports are chosen, and nothing runs."""
    found: list[Stack] = []

    def start(self: Stack, *_: str, **__: object) -> dict[str, str]:
        self.layout.make()
        ports.save(self._ports_file, {name: 20_000 + i for i, name in enumerate(PORTS)})
        found.append(self)
        return {}

    monkeypatch.setattr(Stack, "start", start)
    monkeypatch.setattr("lamina.local.streams.start_streams", lambda stack, settings: found.append(settings))
    return found


def run(*arguments: str) -> Any:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, arguments)


@pytest.mark.parametrize("command", ["up", "status", "down"])
def test_without_a_demo_there_is_nothing_to_start(home: Path, command: str) -> None:
    done = run(command, "--demo")
    assert isinstance(done.exception, StackError)
    assert str(done.exception) == f"no demo has left anything in {home}/demo: run `make demo` first"


def test_the_demos_stack_is_started_as_the_demo_did(home: Path, started: list[Any]) -> None:
    folder = left.folder_of(home)
    folder.mkdir()
    left.note(folder, {"LAMINA_DAG_SCHEDULE": "none", "LAMINA_RULES_FILE": f"{folder}/rules/fraud.yaml"})
    done = run("up", "--demo")
    assert done.exit_code == 0, done.output
    stack, settings = started
    assert stack.layout.stack_dir == folder
    assert stack._base_env["LAMINA_DAG_SCHEDULE"] == "none"
    assert (settings.stack_dir, settings.lake_url) == (folder, f"{folder}/lake")
    assert settings.redis_url.get_secret_value() in {stack.addresses["redis"], stack.env["LAMINA_REDIS_URL"]}
    assert f"LAMINA_STACK_DIR={folder} .venv/bin/lamina models list" in done.output
    assert "make down DEMO=1" in done.output


def test_it_ends_with_addresses_and_the_next_three_commands(home: Path, started: list[Any]) -> None:
    done = run("up")
    assert done.exit_code == 0, done.output
    stack = started[0]
    assert stack.layout.stack_dir == home
    lines = done.output.splitlines()
    after = lines[lines.index("next:") + 1 :]
    assert [line.split(":", 1)[1].split()[0] for line in after] == [
        ".venv/bin/lamina",
        ".venv/bin/lamina",
        "curl",
        "make",
    ]
    assert f"{stack.addresses['api']}/health/ready" in done.output
    assert "make up DEMO=1" in done.output


def test_a_part_of_it_ends_with_its_table(home: Path, started: list[Any]) -> None:
    assert "next:" not in run("up", "--only", "redis").output
    assert started[0].services == {"redis"}


def test_nothing_is_restarted_where_no_stack_runs(home: Path) -> None:
    refused = run("restart", "api")
    assert isinstance(refused.exception, StackError)
    assert "does not run: start it with `make up`" in str(refused.exception)


def test_services_are_restarted_one_after_the_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(Stack, "restart_service", lambda self, name: done.append(name))
    assert run("restart", "sink", "api").exit_code == 0
    assert done == ["sink", "api"]
    refused = run("restart", "sinks")
    assert "no such service: sinks" in str(refused.exception)
    assert done == ["sink", "api"]
