"""Page tokens: where the next page begins, marked so that a token works only in the query it came from."""

import hmac
from collections.abc import Sequence

from mezzotint.auth import base62
from mezzotint.auth.pepper import Pepper
from mezzotint.runtime.errors import PageTokenInvalid

SIZE_DEFAULT = 50
SIZE_MAX = 100
MARK_LENGTH = 22


class Pages:
    """Cuts lists, which the store numbers by descending position, into pages."""

    def __init__(self, pepper: Pepper) -> None:
        self._pepper = pepper

    def size(self, wanted: int) -> int:
        """How long the page is; 0 wants the default."""
        return min(wanted or SIZE_DEFAULT, SIZE_MAX)

    def before(self, token: str, query: str) -> int | None:
        """The position the page begins below; None for the first page. Raises PageTokenInvalid."""
        if not token:
            return None
        position, _, mark = token.partition(".")
        if not (token.isascii() and position.isdigit()) or not hmac.compare_digest(mark, self._mark(position, query)):
            raise PageTokenInvalid("this page token is malformed or of another list; begin again without one")
        return int(position)

    def next_token(self, positions: Sequence[int], size: int, query: str) -> str:
        """The token after a page cut from `size` + 1 or fewer positions; empty when it was the last page."""
        if len(positions) <= size:
            return ""
        last = str(positions[size - 1])
        return f"{last}.{self._mark(last, query)}"

    def _mark(self, position: str, query: str) -> str:
        return base62.encode(int.from_bytes(self._pepper.digest("page", f"{query}\0{position}")), MARK_LENGTH)
