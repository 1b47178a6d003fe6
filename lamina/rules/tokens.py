"""How a card token is shown to people: never whole."""

from __future__ import annotations

SHOWN = 4  # trailing characters, as on a receipt
SHORTEST_SHOWN = 10  # of a shorter token even these would be too much


def mask_token(token: str) -> str:
    """`token` with all but its last characters hidden.

    >>> mask_token("card-ad773f96b5"), mask_token("tok1")
    ('***96b5', '***')
    """
    return f"***{token[-SHOWN:]}" if len(token) >= SHORTEST_SHOWN else "***"
