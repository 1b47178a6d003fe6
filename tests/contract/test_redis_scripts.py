"""The examples at the head of the scripts are what a real Redis answers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import pairwise

import pytest
from redis import Redis

from lamina.store import redis_scripts

PROMPT = "redis> "
EMPTY = "(empty)"

pytestmark = pytest.mark.services


def examples() -> Iterator[tuple[list[str], list[str]]]:
    """Each command of the docstring by its words, and the words of its answer."""
    lines = [line.strip() for line in (redis_scripts.__doc__ or "").splitlines()]
    for command, answer in pairwise(lines):
        if command.startswith(PROMPT):
            yield _words(command.removeprefix(PROMPT)), [] if answer == EMPTY else _words(answer)


def _words(line: str) -> list[str]:
    # shlex leaves escapes of bytes in double quotes as they are, redis-cli does not.
    return [word.replace(r"\x1f", "\x1f") for word in shlex.split(line)]


def test_what_the_scripts_answer_and_store_is_what_their_examples_say(clean_redis: str) -> None:
    asked = set()
    with Redis.from_url(clean_redis, decode_responses=True) as client:
        for (name, *arguments), answer in examples():
            if name == "EVAL":
                asked.add(arguments[0])
                arguments[0] = getattr(redis_scripts, arguments[0])
            found = client.execute_command(name, *arguments)
            if isinstance(found, dict):
                found = [word for pair in found.items() for word in pair]
            assert [str(word) for word in (found if isinstance(found, list) else [found])] == answer, arguments
    assert asked == {"WRITE_TILES", "PUBLISH", "BEGIN", "NEXT_WRITE", "COMMIT_OFFSETS"}
