"""What every online store promises. A backend's test subclasses `OnlineStoreContract` and gives it an empty store."""

from __future__ import annotations

import pytest

from lamina.errors import WritesLost
from lamina.store.blobs import decode_batch, encode_batch
from lamina.store.protocol import MOST_BLOBS, BatchWrite, OnlineStore, ReadKey, TileWrite, WriteSequence
from lamina.store.tiles import TileColumns, encode_speed

TILE_SPEC, OTHER = "transactions@1s#aaaaaa", "transactions@1d#bbbbbb"
NOON = 1_533_729_600_000
USER = ReadKey("user", "7", (TILE_SPEC, OTHER))


def tile(n: int, *, key: str = "user:7", start: int = NOON, more: str = "", tile_spec: str = TILE_SPEC) -> TileWrite:
    payload = str(n).encode() if more else encode_speed(n, (2.5 * n, None))
    return TileWrite(key, f"{tile_spec}/{start}{more}", payload)


def blob(batch_end_ms: int, n: int = 1) -> bytes:
    return encode_batch(batch_end_ms, TileColumns([batch_end_ms - 1000], [n], [[2.5]]))


class OnlineStoreContract:
    """Subclasses override the fixture `store`."""

    @pytest.fixture
    def store(self) -> OnlineStore:
        raise NotImplementedError

    def test_nothing_is_stored_of_an_unknown_entity(self, store: OnlineStore) -> None:
        found = store.read([USER])
        assert [dict(found.replies[0].speed), dict(found.replies[0].batch), dict(found.batch_end_ms)] == [{}, {}, {}]

    def test_tiles_come_back_as_written(self, store: OnlineStore) -> None:
        tiles = [tile(1), tile(2, more="/0/a/b\u00e9"), tile(3, start=NOON + 1000)]
        assert store.write_tiles(tiles) == 3
        assert store.read([USER]).replies[0].speed == {t.field.encode(): t.payload for t in tiles}

    def test_a_repeated_write_changes_nothing(self, store: OnlineStore) -> None:
        store.write_tiles([tile(2)])
        store.write_tiles([tile(2)])
        assert store.read([USER]).replies[0].speed == {tile(2).field.encode(): tile(2).payload}

    @pytest.mark.parametrize(("old", "new"), [(3, 2), (10, 9), (100, 20)])
    def test_a_tile_never_goes_back(self, store: OnlineStore, old: int, new: int) -> None:
        """Counts are compared as numbers, not as text."""
        assert store.write_tiles([tile(old)]) == 1
        assert store.write_tiles([tile(new)]) == 0
        assert store.read([USER]).replies[0].speed[tile(old).field.encode()] == tile(old).payload

    def test_a_tile_goes_forward(self, store: OnlineStore) -> None:
        store.write_tiles([tile(9)])
        assert store.write_tiles([tile(10)]) == 1
        assert store.read([USER]).replies[0].speed[tile(10).field.encode()] == tile(10).payload

    def test_a_newer_state_of_the_same_count_wins(self, store: OnlineStore) -> None:
        """A correction keeps the count and changes the value."""
        store.write_tiles([TileWrite("user:7", f"{TILE_SPEC}/1", b"1\x1f2.5")])
        assert store.write_tiles([TileWrite("user:7", f"{TILE_SPEC}/1", b"1\x1f3.5")]) == 1

    def test_an_empty_payload_removes_its_field_alone(self, store: OnlineStore) -> None:
        store.write_tiles([tile(1, more="/0/a"), tile(1, more="/0/b")])
        gone = tile(1, more="/0/a")._replace(payload=b"")
        assert [store.write_tiles([gone]), store.write_tiles([gone])] == [1, 0]
        assert set(store.read([USER]).replies[0].speed) == {tile(1, more="/0/b").field.encode()}

    def test_the_order_within_one_write_does_not_matter(self, store: OnlineStore) -> None:
        store.write_tiles([tile(2), tile(1)])
        assert store.read([USER]).replies[0].speed[tile(2).field.encode()] == tile(2).payload

    def test_many_entities_in_one_write(self, store: OnlineStore) -> None:
        """More than fit into one pipeline."""
        tiles = [tile(1, key=f"user:{i}", start=NOON + j) for i in range(700) for j in range(3)]
        assert store.write_tiles(tiles) == len(tiles)
        replies = store.read([ReadKey("user", str(i), (TILE_SPEC,)) for i in range(700)]).replies
        assert [len(r.speed) for r in replies] == [3] * 700

    def test_no_tiles_are_no_write(self, store: OnlineStore) -> None:
        assert store.write_tiles([]) == 0

    def test_ids_are_opaque(self, store: OnlineStore) -> None:
        for entity_id in ("a:b", "user_batch", "{x}", "\u00fc", "7 8"):
            store.write_tiles([tile(1, key=f"user:{entity_id}")])
            store.publish([BatchWrite(f"user:{entity_id}", {TILE_SPEC: blob(NOON)})])
            reply = store.read([ReadKey("user", entity_id, (TILE_SPEC,))]).replies[0]
            assert (len(reply.speed), set(reply.batch)) == (1, {TILE_SPEC})

    def test_published_blobs_come_back(self, store: OnlineStore) -> None:
        assert store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON), OTHER: blob(NOON, 2)})]) == 2
        batch = store.read([USER]).replies[0].batch
        assert {name: list(decode_batch(b)[1].n) for name, b in batch.items()} == {TILE_SPEC: [1], OTHER: [2]}

    def test_only_the_asked_tile_specs_are_read(self, store: OnlineStore) -> None:
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON), OTHER: blob(NOON)})])
        assert set(store.read([ReadKey("user", "7", (OTHER,))]).replies[0].batch) == {OTHER}

    def test_an_older_blob_is_left_out(self, store: OnlineStore) -> None:
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON, 5)})])
        assert store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON - 1, 6)})]) == 0
        assert list(decode_batch(store.read([USER]).replies[0].batch[TILE_SPEC])[1].n) == [5]

    def test_blobs_beside_an_older_one_are_written(self, store: OnlineStore) -> None:
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON, 5)})])
        older = BatchWrite("user:7", {TILE_SPEC: blob(NOON - 1, 6), OTHER: blob(NOON - 1, 7)})
        assert store.publish([older, BatchWrite("user:8", {TILE_SPEC: blob(NOON - 1, 8)})]) == 2
        found = store.read([USER, ReadKey("user", "8", (TILE_SPEC,))]).replies
        assert [[list(decode_batch(b)[1].n) for b in r.batch.values()] for r in found] == [[[5], [7]], [[8]]]

    def test_a_rerun_of_the_same_day_replaces_its_blob(self, store: OnlineStore) -> None:
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON, 5)})])
        assert store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON, 6)})]) == 1
        assert list(decode_batch(store.read([USER]).replies[0].batch[TILE_SPEC])[1].n) == [6]

    def test_publishing_removes_the_speed_tiles_it_covers(self, store: OnlineStore) -> None:
        kept = [
            tile(1),
            tile(1, start=NOON + 1),
            tile(1, more="/0/m"),
            tile(1, start=NOON - 1, tile_spec=OTHER),
            tile(1, start=NOON + 1, tile_spec=OTHER),
        ]
        gone = [tile(1, start=NOON - 1), tile(1, start=NOON - 1, more="/0/m/n")]
        store.write_tiles([*kept, *gone])
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON), OTHER: blob(NOON + 1)}, (TILE_SPEC,))])
        assert set(store.read([USER]).replies[0].speed) == {t.field.encode() for t in kept}

    def test_entities_do_not_touch_each_other(self, store: OnlineStore) -> None:
        store.write_tiles([tile(1), tile(1, key="merchant:7")])
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON + 1)}, (TILE_SPEC,))])
        user, merchant = store.read([USER, ReadKey("merchant", "7", (TILE_SPEC,))]).replies
        assert (len(user.speed), len(merchant.speed), len(user.batch), len(merchant.batch)) == (0, 1, 1, 0)

    def test_speed_tiles_are_not_read_where_no_job_writes_them(self, store: OnlineStore) -> None:
        store.write_tiles([tile(1)])
        assert store.read([ReadKey("user", "7", (TILE_SPEC,), has_speed=False)]).replies[0].speed == {}

    def test_a_watermark_never_moves_back(self, store: OnlineStore) -> None:
        for through in (NOON, NOON - 1):
            store.advance_watermark("user", through)
        store.advance_watermark("merchant", NOON + 1)
        found = store.read([USER, ReadKey("merchant", "7", ())]).batch_end_ms
        assert {e: found[e] for e in ("user", "merchant")} == {"user": NOON, "merchant": NOON + 1}

    def test_a_write_that_takes_back_replaces_a_later_blob(self, store: OnlineStore) -> None:
        store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON + 1, 5)})])
        assert store.publish([BatchWrite("user:7", {TILE_SPEC: blob(NOON, 6)}, takes_back=True)]) == 1
        assert list(decode_batch(store.read([USER]).replies[0].batch[TILE_SPEC])[1].n) == [6]

    def test_taking_back_removes_later_blobs_of_the_entity_alone(self, store: OnlineStore) -> None:
        store.write_tiles([tile(1)])
        store.publish([BatchWrite(f"user:{i}", {TILE_SPEC: blob(NOON + 1), OTHER: blob(NOON)}) for i in range(120)])
        store.publish([BatchWrite("merchant:7", {TILE_SPEC: blob(NOON + 1)})])
        store.publish([BatchWrite("user_x:7", {TILE_SPEC: blob(NOON + 1)})])
        for entity in ("user", "merchant"):
            store.advance_watermark(entity, NOON + 1)
        assert store.take_back("user", [TILE_SPEC, OTHER], NOON) == 120
        assert store.take_back("user", [TILE_SPEC, OTHER], NOON) == 0
        user, merchant = store.read([USER, ReadKey("merchant", "7", (TILE_SPEC,))]).replies
        assert (set(user.batch), len(user.speed), set(merchant.batch)) == ({OTHER}, 1, {TILE_SPEC})
        assert set(store.read([ReadKey("user_x", "7", (TILE_SPEC,))]).replies[0].batch) == {TILE_SPEC}
        watermarks = store.read([USER, ReadKey("merchant", "7", ())]).batch_end_ms
        assert {e: watermarks[e] for e in ("user", "merchant")} == {"user": NOON, "merchant": NOON + 1}

    def test_taking_back_goes_by_the_name_of_the_watermark(self, store: OnlineStore) -> None:
        """Of an entity that systems share each has its own."""
        for name in ("user@fraud", "user@activity"):
            store.advance_watermark(name, NOON + 1)
        store.take_back("user", [TILE_SPEC], NOON, "user@fraud")
        assert store.read([USER]).batch_end_ms == {"user@fraud": NOON, "user@activity": NOON + 1}

    def test_a_watermark_that_never_was_is_not_made_by_taking_back(self, store: OnlineStore) -> None:
        assert store.take_back("user", [TILE_SPEC], NOON) == 0
        assert "user" not in store.read([USER]).batch_end_ms

    def test_writes_of_a_sequence_are_settled(self, store: OnlineStore) -> None:
        assert store.begin("log", "w") == {}
        first = WriteSequence("w", 0).next()
        assert store.write_tiles([tile(1)], first) == 1
        assert store.write_tiles([], first.next()) == 0
        store.commit_offsets("log", first.next(), {0: 7, 3: 9})
        assert store.begin("log", "other") == {0: 7, 3: 9}
        assert store.begin("other log", "w") == {}

    def test_the_topic_of_a_log_is_noted_once(self, store: OnlineStore) -> None:
        """Also of offsets that were noted before topics were."""
        store.begin("log", "w")
        store.commit_offsets("log", WriteSequence("w", 0), {0: 7})
        assert store.identify("log", "t1") == "t1"
        assert store.identify("log", "t2") == "t1"
        assert store.identify("log", "t1", anew=True) == "t1"
        assert store.begin("log", "w") == {0: 7}
        assert store.identify("other log", "t2") == "t2"

    def test_offsets_of_another_topic_can_be_forgotten(self, store: OnlineStore) -> None:
        store.begin("log", "w")
        store.identify("log", "t1")
        store.commit_offsets("log", WriteSequence("w", 0), {0: 7})
        for topic in ("t2", "t0"):
            assert store.identify("log", topic, anew=True) == topic
            assert store.begin("log", "w") == {}
            store.commit_offsets("log", WriteSequence("w", 0), {0: 7})

    def test_a_repeated_write_of_a_sequence_is_accepted(self, store: OnlineStore) -> None:
        store.begin("log", "w")
        for _ in range(2):
            store.write_tiles([tile(1)], WriteSequence("w", 1))
        store.commit_offsets("log", WriteSequence("w", 1), {0: 7})

    def test_a_write_whose_predecessor_is_gone_is_told(self, store: OnlineStore) -> None:
        store.begin("log", "w")
        with pytest.raises(WritesLost):
            store.write_tiles([tile(1)], WriteSequence("w", 2))
        with pytest.raises(WritesLost):
            store.commit_offsets("log", WriteSequence("w", 1), {0: 7})
        with pytest.raises(WritesLost):
            store.commit_offsets("log", WriteSequence("unknown", 0), {0: 7})
        assert store.begin("log", "w") == {}

    def test_as_many_blobs_as_are_allowed_are_vouched_for_at_once(self, store: OnlineStore) -> None:
        store.begin("log", "w")
        writes = [BatchWrite(f"user:{i}", {TILE_SPEC: blob(NOON)}) for i in range(MOST_BLOBS)]
        assert store.publish(writes, WriteSequence("w", 1)) == MOST_BLOBS
        store.commit_offsets("log", WriteSequence("w", 1), {0: 1})

    def test_blobs_of_a_sequence_are_vouched_for(self, store: OnlineStore) -> None:
        write = BatchWrite("user:7", {TILE_SPEC: blob(NOON)})
        with pytest.raises(WritesLost):
            store.publish([write], WriteSequence("w", 1))
        store.begin("log", "w")
        assert store.publish([write], WriteSequence("w", 1)) == 1
        store.commit_offsets("log", WriteSequence("w", 1), {0: 1})
