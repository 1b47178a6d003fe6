"""What a migration is: a name, what is there to do now, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lamina.settings import Settings


@dataclass(frozen=True)
class Task:
    """One thing to do: `what` is a sentence without a subject, such as `move A to B`; `apply` does it.

    A task that was ended in its middle is there again, in whole or as what is left of it, when it is asked for anew.
    """

    what: str
    apply: Callable[[], None]


@dataclass(frozen=True)
class Step:
    """One change between two versions. `pending` says what is to be done here and now, and changes nothing.

    Nothing is pending where all of it was done, or where there never was anything to do.
    """

    name: str
    pending: Callable[[Settings], Sequence[Task]]


def migrate(steps: Sequence[Step], settings: Settings, *, dry_run: bool = False) -> Iterator[tuple[Step, Task]]:
    """Do all that is pending, step by step; gives each task once it is done, or with `dry_run` in its place.

    >>> step = Step("nothing new", lambda settings: ())
    >>> list(migrate([step], Settings()))
    []
    """
    for step in steps:
        for task in step.pending(settings):
            if not dry_run:
                task.apply()
            yield step, task
