"""A share of the declines that is let through, so that somebody learns what would have become of them."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lamina.contracts.reasons import Reason
from lamina.yaml_files import YamlNumber

MOST = 0.2
"""A share above this is a slip: it would let through most of what a model is there to stop."""

WHOLE = 2**64


class PassThrough(BaseModel):
    """Which of the payments that the model would reject are let through, and as what.

    share: of those eligible, 0 to 0.2. salt: decides which; whoever knows it could choose ids that pass. action: what
    they get instead. below: only amounts under this are eligible; None: all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    share: YamlNumber = Field(0.0, ge=0, le=MOST)
    salt: str = Field("", repr=False)
    action: Literal["approve", "review"] = "approve"
    below: YamlNumber | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _salted(self) -> Self:
        if self.share and len(self.salt) < 8:
            raise ValueError("needs a salt of at least 8 characters that nobody outside knows: it decides who passes")
        return self

    def eligible(self, amount: float) -> bool:
        """Whether chance has a say in a decline of this amount."""
        return self.share > 0 and (self.below is None or amount < self.below)

    def drawn(self, transaction_id: str) -> bool:
        """Whether this payment is among the share: the same in every process, and when it is asked again."""
        digest = blake2b(f"{self.salt}\x1f{transaction_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.share * WHOLE

    @property
    def reason(self) -> Reason:
        """Said with every payment that is let through."""
        detail = f"let through by chance, as {self.share:.2%} of such declines are, to learn what becomes of them"
        return Reason(kind="risk", code="passed_through", detail=detail)
