"""A rules file: rules, thresholds, costs and the policy that is chosen, read and checked as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lamina.contracts.fraud_decisions import Action, Policy
from lamina.contracts.reasons import Reason
from lamina.contracts.transactions import Transaction
from lamina.errors import LaminaError
from lamina.rules.bands import Band, complaint, most_severe
from lamina.rules.costs import Costs
from lamina.rules.kinds import AnyRule, Features
from lamina.rules.passing import PassThrough
from lamina.yaml_files import read_yaml, sentence

FIXED_TABLE: Final = "fixed_table"
"""The thresholds of `risk`, by amount."""
EXPECTED_COST: Final = "expected_cost"
"""What costs least, by `costs`."""


class RulesError(LaminaError):
    """A rules file that cannot be right; the message names the file, the place in it and what to change."""


class RuleBook(BaseModel):
    """The content of a rules file: its version, the rules in order, and what is made of the model's score.

    `policy` chooses between the bands of `risk`, which are there in any case, and `costs`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    version: str = Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")
    rules: tuple[AnyRule, ...]
    risk: tuple[Band, ...]
    policy: Policy = FIXED_TABLE
    costs: Costs | None = None
    pass_through: PassThrough = PassThrough()

    @model_validator(mode="after")
    def _consistent(self) -> RuleBook:
        codes = [rule.code for rule in self.rules]
        if twice := sorted({code for code in codes if codes.count(code) > 1}):
            raise ValueError(f"codes used twice: {', '.join(twice)}; decisions could not tell these rules apart")
        if wrong := complaint(self.risk):
            raise ValueError(f"risk: {wrong}")
        if self.policy == EXPECTED_COST and self.costs is None:
            raise ValueError("policy: expected_cost needs `costs`, such as {friction: 10, review: 5}")
        return self

    def judge(self, transaction: Transaction, features: Features) -> tuple[Action, list[Reason]]:
        """The most severe action that any rule asks for, and a reason for each that fired."""
        action: Action = "approve"
        reasons = []
        for rule in self.rules:
            detail = rule.fires(transaction, features)
            if detail is not None:
                action = most_severe(action, rule.action)
                reasons.append(Reason(kind="rule", code=rule.code, detail=detail))
        return action, reasons


def load_rules(file: Path) -> RuleBook:
    """The rules in `file` and the lists it names.

    Raises: RulesError: for anything that cannot be right, unknown keys and kinds among it.
    """
    raw: Any = read_yaml(file, RulesError)
    try:
        book = RuleBook.model_validate(raw)
        for rule in book.rules:
            rule.load(file.parent)
    except ValidationError as error:
        raise RulesError(f"{file}: {'; '.join(_sentences(error, raw))}") from None
    except (OSError, ValueError) as error:
        raise RulesError(f"{file}: {error}") from error
    return book


def _sentences(error: ValidationError, raw: Any) -> list[str]:
    found = []
    for each in error.errors(include_url=False):
        parts = [str(part) for part in each["loc"]]
        if len(parts) > 1 and parts[0] == "rules":
            code = _code(raw, int(parts[1]))
            parts = ["rules", code, *parts[3:]] if len(parts) > 2 else ["rules", code]
        found.append(f"{'.'.join(parts) or 'file'}: {sentence(each)}")
    return found


def _code(raw: Any, index: int) -> str:
    try:
        return str(raw["rules"][index]["code"])
    except (KeyError, TypeError, IndexError):
        return str(index)
