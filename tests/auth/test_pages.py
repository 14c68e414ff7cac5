"""Page tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.auth.pages import Pages
from mezzotint.auth.pepper import Pepper
from mezzotint.runtime.errors import PageTokenInvalid

PAGES = Pages(Pepper(bytes(32)))


@given(st.lists(st.integers(1, 2**63 - 1), min_size=2, unique=True).map(lambda found: sorted(found, reverse=True)))
def test_a_token_says_where_the_next_page_begins(positions: list[int]) -> None:
    """Ensures that the token after a page leads below its last entry, and that the last page has none."""
    size = len(positions) - 1
    token = PAGES.next_token(positions, size, "keys acc_1")
    assert PAGES.before(token, "keys acc_1") == positions[-2]
    assert len(token) <= 256
    assert PAGES.next_token(positions, len(positions), "keys acc_1") == ""
    with pytest.raises(PageTokenInvalid):
        PAGES.before(token, "keys acc_2")


@given(st.text(min_size=1, max_size=60))
def test_garbage_is_refused(token: str) -> None:
    """Ensures that no text makes reading a token fail in another way."""
    with pytest.raises(PageTokenInvalid):
        PAGES.before(token, "keys acc_1")


@pytest.mark.parametrize(("wanted", "size"), [(0, 50), (1, 1), (100, 100), (4_000_000_000, 100)])
def test_pages_have_a_size(wanted: int, size: int) -> None:
    """Ensures that a page is never longer than the limit."""
    assert PAGES.size(wanted) == size
