from __future__ import annotations

import pytest

from lamina.registry.names import check_alias, check_name, is_name
from lamina.registry.protocol import RegistryError


@pytest.mark.parametrize(
    ("name", "good"), [("x" * 127, True), ("x" * 128, True), ("x" * 129, False), ("x", True), ("", False)]
)
def test_a_name_has_128_characters_at_most(name: str, good: bool) -> None:
    assert is_name(name) is good


@pytest.mark.parametrize("alias", ["champion", "a", "x" * 64, "version", "v", "v1a", "av1", "latest1", "my-latest"])
def test_an_alias_that_may_be(alias: str) -> None:
    check_alias(alias)


@pytest.mark.parametrize("alias", ["latest", "Latest", "v1", "V22", "x" * 65, "1a", "-a", "", "a b"])
def test_an_alias_that_may_not_be(alias: str) -> None:
    with pytest.raises(RegistryError, match="cannot be an alias"):
        check_alias(alias)


def test_a_bad_name_is_told_with_what_it_may_be_made_of() -> None:
    check_name("fraud-2.1_x")
    with pytest.raises(RegistryError, match=r"'a b' cannot be the name of a model: .*128 at most"):
        check_name("a b")
