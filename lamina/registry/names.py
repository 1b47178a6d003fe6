"""What models and aliases may be called: one rule, held against whatever is written. Versions are numbers.

A name is also that of a folder, a part of an address and of a filter. Names that others wrote past this rule are read
all the same: one of them must not keep everybody from theirs.
"""

from __future__ import annotations

import re

from lamina.contracts.predictions import LONGEST_MODEL_NAME, MODEL_NAME
from lamina.registry.protocol import RegistryError

ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}")
# MLflow keeps these for itself.
RESERVED = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
_NAME = re.compile(MODEL_NAME)


def is_name(name: str) -> bool:
    r"""Whether a model may be called this.

    >>> is_name("fraud-2.1"), is_name("a'b"), is_name("../x"), is_name("fraud\n")
    (True, False, False, False)
    """
    return len(name) <= LONGEST_MODEL_NAME and _NAME.fullmatch(name) is not None and not name.endswith("\n")


def check_name(name: str) -> None:
    """Nothing, where a model may be called this.

    Raises: RegistryError: says what a name is made of.
    """
    if not is_name(name):
        raise RegistryError(
            f"{name!r} cannot be the name of a model: take letters, digits, `_`, `.` and `-`, a letter or digit first, "
            f"{LONGEST_MODEL_NAME} at most"
        )


def check_alias(alias: str) -> None:
    """Nothing, where an alias may be called this.

    Raises: RegistryError: says what an alias is made of.
    """
    if not ALIAS.fullmatch(alias) or RESERVED.fullmatch(alias):
        raise RegistryError(
            f"{alias!r} cannot be an alias: take letters, digits, `_` and `-`, a letter first, 64 at most, and neither "
            "`latest` nor `v` and a number"
        )
