"""What keeps somebody from a case, and what is wrong with the database of reviews."""

from __future__ import annotations

from lamina.errors import LaminaError


class ReviewError(LaminaError):
    """What was asked of a case cannot be done as things stand; the message says what stands."""


class NoSuchCase(ReviewError):
    """There is no case of this number."""


class HeldByAnother(ReviewError):
    """Somebody else works on the case, or has decided on it: take the next one."""


class TooLate(ReviewError):
    """The verdict can no longer be taken back: its label is published. A newer label corrects it."""


class AuditBroken(LaminaError):
    """The audit log is not what was written: names the first entry that does not fit, to compare with a backup."""


class ReviewsUnavailable(LaminaError):
    """The database of reviews does not answer, or is of another version: see LAMINA_REVIEWS_URL."""
