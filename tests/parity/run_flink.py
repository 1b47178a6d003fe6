"""Run as a module in the environment of PyFlink: the stream job over what is on the topics, to its end."""

from __future__ import annotations

import sys
from dataclasses import replace

from jobs.flink.options import StreamOptions
from jobs.flink.stream_features import submit
from lamina.definitions import load
from tests.parity.everything import EVERYTHING


def main(systems: str, bootstrap: str, topic_prefix: str, connector_jar: str) -> None:
    options = StreamOptions(
        system="",
        bootstrap=bootstrap,
        topic_prefix=topic_prefix,
        connector_jar=connector_jar,
        state_backend="hashmap",
        until_now=True,
        parallelism=2,
    )
    # The systems one after the other, as starting a JVM costs more than their events.
    for name in systems.split(","):
        chosen = replace(options, system=name)
        submit(chosen, EVERYTHING if name == EVERYTHING.system else load(name)).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
