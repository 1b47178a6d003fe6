"""Settings of the console and its review queue, a part of `lamina.settings.Settings`."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class ConsoleSettings(BaseSettings):
    """Where reviews are kept, and how people work through them."""

    reviews_url: SecretStr | None = Field(
        None,
        description="Database of the review queue, such as postgresql://user:password@host/name; a file of SQLite in "
        "stack_dir where none is named. Several machines that serve need one for all.",
    )
    review_lease_s: int = Field(
        600, ge=10, description="For so long a case that an analyst took is nobody else's, in seconds."
    )
    review_undo_s: int = Field(
        60, ge=0, description="For so long a verdict can be taken back, in seconds; then its label is published."
    )
    review_teach_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Of the cases that analysts take from the queue, the share that is chosen by how much a label "
        "would teach the model; the others by expected loss.",
    )
    review_seed: str = Field("reviews", description="Makes the choice of that share one that can be made again.")
    console_session_s: int = Field(
        8 * 3600, ge=60, description="After so many seconds whoever is signed in to the console signs in again."
    )
    console_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="Secret that signs the console's sessions, 32 characters at least; one is made in stack_dir where "
        "none is given. Several machines that serve need the same.",
    )
