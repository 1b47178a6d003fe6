"""A demo is chosen by its system's name, and what `make demo` is given reaches it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lamina.definitions import system_names
from lamina.demo.story import NoStory, Options, load_story, story_names


def options(folder: Path) -> Options:
    return Options(users=60, days=30, data=None, scratch=folder)


def demo(folder: Path, **variables: str) -> str:
    """What `python -m lamina.demo` said when it refused."""
    env = {**os.environ, "KEEP": "", "LAMINA_STACK_DIR": str(folder / "stack"), **variables}
    run = subprocess.run([sys.executable, "-m", "lamina.demo"], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    return run.stderr


@pytest.mark.parametrize("system", story_names())
def test_a_story_is_of_the_system_that_it_is_named_after(system: str, tmp_path: Path) -> None:
    made = load_story(system, options(tmp_path))
    assert made.system == system in system_names()
    assert sum(route.is_answered for route in made.routes) == 1
    assert made.asked.is_answered
    history = made.source
    assert history.training_date < history.live_day
    live = history.live()
    assert {route.topic for route in made.routes} <= set(live.events)
    assert live.day == history.live_day


@pytest.mark.parametrize("system", story_names())
def test_a_story_has_sizes_of_its_own(system: str, tmp_path: Path) -> None:
    made = load_story(system, Options(users=None, days=None, data=None, scratch=tmp_path))
    assert made.source.live_day > load_story(system, options(tmp_path)).source.live_day
    assert made.rate_s > 1


def test_what_has_no_demo_is_refused_with_what_has_one(tmp_path: Path) -> None:
    with pytest.raises(NoStory, match=r"no demo of a system 'checkers': SYSTEM is one of .*fraud"):
        load_story("checkers", options(tmp_path))


def test_the_variables_of_make_demo_reach_the_job(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert f"no transactions.parquet in {nowhere}: set DATA" in demo(tmp_path, DATA=str(nowhere))
    assert "no demo of a system 'checkers': SYSTEM is one of" in demo(tmp_path, SYSTEM="checkers", DATA="")
    assert not (tmp_path / "stack").exists(), "what is refused has touched nothing"
