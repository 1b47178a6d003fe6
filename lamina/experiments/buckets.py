"""Buckets: the stable, even division of keys that an experiment hands to its arms."""

from __future__ import annotations

from hashlib import blake2b

BUCKETS = 10_000
_DIGEST_BYTES = 8  # 2**64 values over 10,000 buckets: none is likelier than another by more than one part in 10**15


def bucket_of(salt: str, key: str) -> int:
    """The bucket of `key`, 0 to 9,999: the same in every process and for ever, and another one under another salt.

    Python's own `hash` is no use here: it is seeded anew in every process.

    >>> bucket_of("2025-06", "user-00000153")
    9737
    """
    digest = blake2b(f"{salt}\x00{key}".encode(), digest_size=_DIGEST_BYTES).digest()
    return int.from_bytes(digest, "big") % BUCKETS
