"""`lamina dead-letters list` and `replay`: what could not be processed, and sending it again."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import typer

from lamina.commands.output import make_console, make_table
from lamina.settings import load_settings

letters = typer.Typer(name="dead-letters", no_args_is_help=True, help="Messages that broke their contract.")


def register(parent: typer.Typer) -> None:
    """Add `dead-letters` to `parent`."""
    parent.add_typer(letters)


Topic = Annotated[str | None, typer.Option(help="Only letters about this topic.")]
Since = Annotated[datetime | None, typer.Option(help="Only letters found broken at or after this time, UTC.")]


def _ms(at_utc: datetime | None) -> int | None:
    return None if at_utc is None else round(at_utc.replace(tzinfo=at_utc.tzinfo or UTC).timestamp() * 1000)


@letters.command("list")
def show(
    topic: Topic = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="Show at most so many, the newest.")] = 50,
    raw: Annotated[bool, typer.Option(help="Show the message too; it may hold personal data.")] = False,
) -> None:
    """Show where each broken message stood and why it was refused, and count the reasons."""
    from lamina.streams.dead_letters import read

    settings = load_settings()
    found = list(read(settings.kafka_bootstrap, settings.topic_prefix, topic, _ms(since)))
    rows = make_table("found at (UTC)", "topic", "partition", "offset", "reason", *(("message",) if raw else ()))
    for letter in found[-limit:]:
        at = datetime.fromtimestamp(letter.timestamp / 1000, tz=UTC).isoformat(sep=" ", timespec="seconds")[:19]
        message = (base64.b64decode(letter.raw).decode(errors="replace"),) if raw else ()
        rows.add_row(at, letter.topic, str(letter.partition), str(letter.offset), letter.reason, *message)
    console = make_console()
    console.print(rows)
    for reason, n in Counter(letter.reason for letter in found).most_common():
        console.print(f"{n:>8}  {reason}", markup=False, soft_wrap=True)
    console.print(f"{len(found):>8}  in all", markup=False, soft_wrap=True)


@letters.command()
def replay(
    topic: Topic = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option(help="Only count what would be sent.")] = False,
) -> None:
    """Send the messages again that keep their contract by now; those that do not are counted with the reason."""
    from lamina.streams.dead_letters import replay as send_again

    settings = load_settings()
    report = send_again(settings.kafka_bootstrap, settings.topic_prefix, topic, _ms(since), dry_run=dry_run)
    console = make_console()
    for reason, n in report.reasons.most_common():
        console.print(f"{n:>8}  {reason}", markup=False, soft_wrap=True)
    console.print(
        f"read {report.read}, {'would send' if dry_run else 'sent'} {report.sent}, still broken {report.still_dead}, "
        f"of an unknown topic {report.unknown}",
        markup=False,
        soft_wrap=True,
    )
