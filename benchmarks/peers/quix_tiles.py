"""The tiles by Quix Streams: one process of a consumer group; run in the environment of the peers.

State is RocksDB with a changelog topic, as the library does it unless told otherwise, and so are commits every 5 s.
Left out: what `benchmarks.peers.tiles` leaves out, and the expiry of state.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from quixstreams import Application, State
from quixstreams.models import Serializer

from benchmarks.peers.tiles import key_of, payload_of, start_of, with_event

KEY, PAYLOAD = 0, 1


class TilePayload(Serializer):
    """Sends the payload of a (key, payload) pair."""

    def __call__(self, value: tuple[str, str], ctx: object = None) -> bytes:
        """The payload as bytes."""
        return value[PAYLOAD].encode()


def run(bootstrap: str, source: str, target: str, tile_spec: str, state_dir: str) -> None:
    """Read `source`, write `target`, until a signal ends it."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"quix-{target}",
        auto_offset_reset="earliest",
        state_dir=state_dir,
        producer_extra_config={"compression.type": "lz4"},
        loglevel="WARNING",
    )

    def tile(event: Mapping[str, Any], state: State) -> tuple[str, str] | None:
        start = start_of(event)
        found = with_event(state.get(str(start)), event)
        if found is None:
            return None
        state.set(str(start), found)
        return key_of(tile_spec, event["user_id"], start), payload_of(found)

    events = app.dataframe(app.topic(source, key_deserializer="str", value_deserializer="json"))
    tiles = events.apply(tile, stateful=True).filter(lambda pair: pair is not None)
    tiles.to_topic(app.topic(target, key_serializer="str", value_serializer=TilePayload()), key=lambda pair: pair[KEY])
    app.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("--bootstrap", "--source", "--target", "--tile-spec", "--state-dir"):
        parser.add_argument(option, required=True)
    run(**vars(parser.parse_args()))
