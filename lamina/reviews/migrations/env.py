"""What alembic runs: every migration within the connection and transaction that `lamina.reviews.database` has begun."""

from __future__ import annotations

from alembic import context

from lamina.reviews.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table="review_version"
)
context.run_migrations()
