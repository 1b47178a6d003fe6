"""The models of a system together: which of them go out of service when features change."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from serving.served_models import Models


def served(*names: str) -> Mock:
    return Mock(current=Mock(scorer=Mock(names=names)))


@pytest.mark.parametrize("is_loaded", [True, False])
def test_models_beside_the_champion_go_that_read_what_changed(is_loaded: bool) -> None:
    """The champion decides which features are read, and is asked before they change."""
    champion, changed, same = served("spent_1h"), served("n_1h", "spent_1h"), served("n_1h")
    if not is_loaded:
        changed.current = None
    Models(champion, Mock(challengers=[changed, same]), Mock()).withdraw({"spent_1h", "peak_2d"})
    assert [m.withdraw.called for m in (champion, changed, same)] == [False, is_loaded, False]
