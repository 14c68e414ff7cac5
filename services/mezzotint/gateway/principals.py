"""Verified credentials by fingerprint: bounded, and dropped by what a revocation names."""

from collections import OrderedDict, defaultdict
from dataclasses import dataclass

from mezzotint.runtime.interceptors.access import Principal


@dataclass(frozen=True)
class Entry:
    """Whose a credential is, until `until` on the wall clock."""

    principal: Principal
    until: float


class PrincipalCache:
    """The least recently used entry goes when a new one would be one more than `entries_max`."""

    def __init__(self, entries_max: int) -> None:
        assert entries_max > 0, "a cache of nothing"
        self._entries_max = entries_max
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        # Fingerprints by credential id and by account id: a session has many access tokens, an account many credentials.
        self._named: defaultdict[str, set[bytes]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, fingerprint: bytes, now: float) -> Principal | None:
        """The holder, unless unknown or over."""
        entry = self._entries.get(fingerprint)
        if entry is None:
            return None
        if entry.until <= now:
            self._drop(fingerprint)
            return None
        self._entries.move_to_end(fingerprint)
        return entry.principal

    def put(self, fingerprint: bytes, principal: Principal, until: float) -> None:
        """Remember a holder."""
        self._drop(fingerprint)
        self._entries[fingerprint] = Entry(principal, until)
        for name in names(principal):
            self._named[name].add(fingerprint)
        if len(self._entries) > self._entries_max:
            self._drop(next(iter(self._entries)))

    def drop(self, name: str) -> None:
        """Forget everything of a credential or account, by its id."""
        for fingerprint in list(self._named.get(name, ())):
            self._drop(fingerprint)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._named.clear()

    def _drop(self, fingerprint: bytes) -> None:
        entry = self._entries.pop(fingerprint, None)
        if entry is None:
            return
        for name in names(entry.principal):
            self._named[name].discard(fingerprint)
            if not self._named[name]:
                del self._named[name]


def names(principal: Principal) -> tuple[str, str]:
    """What a revocation may name a principal by. Ids have prefixes, so the two kinds never collide."""
    return principal.credential_id, principal.account_id
