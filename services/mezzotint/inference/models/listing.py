"""Lists in pages. A token names the last entry of its page, so pages stay right while entries come and go."""

import base64
from collections.abc import Sequence

from mezzotint.runtime.errors import PageTokenInvalid

PAGE_SIZE_DEFAULT = 50


def page(names: Sequence[str], size: int, token: str) -> tuple[list[str], str]:
    """The `size` (0: 50) sorted names after the page that gave `token`, and the next page's token. Raises PageTokenInvalid."""
    after = last_of(token) if token else ""
    rest = [name for name in names if name > after]
    size = size or PAGE_SIZE_DEFAULT
    following = base64.urlsafe_b64encode(rest[size - 1].encode()).decode() if len(rest) > size else ""
    return rest[:size], following


def last_of(token: str) -> str:
    """The name a token stands for. Raises PageTokenInvalid."""
    try:
        name = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise PageTokenInvalid("the page token is malformed; begin again without one") from error
    if not name:
        raise PageTokenInvalid("the page token is malformed; begin again without one")
    return name
