"""How many forms with pictures may be received at once: in all, and of one account."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mezzotint.runtime.errors import ServerOverloaded

FORMS_AT_ONCE = 32
# A form may take two minutes to come: a few accounts that let theirs trickle must not shut out the others.
ACCOUNT_FORMS_AT_ONCE = 4
RETRY_AFTER_SECONDS = 2.0


class FormRoom:
    """Places for forms. On the event loop only."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextmanager
    def place(self, account_id: str) -> Iterator[None]:
        """A place for one form of an account, until the end of the block. Raises ServerOverloaded."""
        if self._held[account_id] >= ACCOUNT_FORMS_AT_ONCE:
            text = f"{ACCOUNT_FORMS_AT_ONCE} pictures of this account are being received already"
        elif self._held.total() >= FORMS_AT_ONCE:
            text = f"{FORMS_AT_ONCE} pictures are being received already"
        else:
            self._held[account_id] += 1
            try:
                yield
            finally:
                self._held[account_id] -= 1
                if not self._held[account_id]:
                    del self._held[account_id]
            return
        raise ServerOverloaded(f"{text}; try again in {RETRY_AFTER_SECONDS:g} s", retry_after=RETRY_AFTER_SECONDS)
