"""What lies beside the weights of every model: a file that says what they are."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from lamina.errors import ModelUnavailable
from lamina.scoring.protocol import SPEC_FILE


class Spec(BaseModel):
    """`spec.json` of one kind of model. `remedy` is what to do when it cannot be read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    remedy: ClassVar[str]

    def write(self, folder: Path) -> Path:
        """Write `spec.json` into `folder`; returns its path."""
        path = folder / SPEC_FILE
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The spec in `folder`.

        Raises: ModelUnavailable: when there is none, or this version of lamina cannot read it.
        """
        path = folder / SPEC_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise ModelUnavailable(
                f"{folder} holds no {SPEC_FILE}: download the model again or train it anew"
            ) from None
        except ValidationError as error:
            where = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
            raise ModelUnavailable(f"{path} cannot be read ({where}): {cls.remedy}") from None
