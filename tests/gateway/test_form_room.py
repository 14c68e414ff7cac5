"""Places for forms that are being received."""

from contextlib import ExitStack

import pytest

from mezzotint.gateway.http.form_room import ACCOUNT_FORMS_AT_ONCE, FORMS_AT_ONCE, FormRoom
from mezzotint.runtime.errors import ServerOverloaded


def test_one_account_leaves_room_for_the_others() -> None:
    """Ensures that an account has a few places only, and gets them back."""
    room = FormRoom()
    with ExitStack() as held:
        for _ in range(ACCOUNT_FORMS_AT_ONCE):
            held.enter_context(room.place("slow"))
        with pytest.raises(ServerOverloaded, match="of this account"):
            held.enter_context(room.place("slow"))
        held.enter_context(room.place("other"))
    with room.place("slow"):
        pass


def test_the_places_are_few_for_all_together() -> None:
    """Ensures that what many accounts send at once is bounded too."""
    room = FormRoom()
    with ExitStack() as held:
        for number in range(FORMS_AT_ONCE):
            held.enter_context(room.place(f"account {number}"))
        with pytest.raises(ServerOverloaded, match=f"{FORMS_AT_ONCE} pictures are"):
            held.enter_context(room.place("one more"))
