"""The store in memory, for tests and trials: it forgets everything with the process."""

from dataclasses import dataclass, field, replace
from itertools import count

from mezzotint.auth.records import Account, ApiKey, KeyHolder, Login, Session, SessionHolder
from mezzotint.auth.revocations import Revocation, RevocationLog, Target
from mezzotint.auth.store import KEYS_KEPT_MAX, SESSION_FORGOTTEN_SECONDS, Store
from mezzotint.runtime.errors import AccountExists, RequestIdReused


@dataclass
class Tables:
    """What the three stores share. No verb awaits between reading and changing them, so each is atomic."""

    log: RevocationLog
    logins: dict[str, Login] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    keys: dict[str, tuple[ApiKey, bytes]] = field(default_factory=dict)
    sessions: dict[str, tuple[Session, bytes]] = field(default_factory=dict)
    positions: "count[int]" = field(default_factory=lambda: count(1))

    def revoke(self, target: Target, target_id: str) -> None:
        """Record and publish a revocation."""
        self.log.append(Revocation(self.log.last + 1, target, target_id))

    def replace_hash(self, login: Login, new_hash: str) -> bool:
        """Set an account's password hash; False, and nothing, if it is no longer `login`'s."""
        account_id = login.account.account_id
        found = self.logins.get(account_id)
        if found is None or found.password_hash != login.password_hash:
            return False
        self.logins[account_id] = replace(found, password_hash=new_hash)
        return True

    def end(self, session_id: str, now: float) -> bool:
        """Revoke a session without recording it; False if it is revoked already."""
        session, digest = self.sessions[session_id]
        if session.revoked_at is not None:
            return False
        self.sessions[session_id] = (replace(session, revoked_at=now), digest)
        return True


class MemoryAccounts:
    """An AccountStore."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(self, login: Login, request_id: str) -> None:
        """See AccountStore.add."""
        if request_id in self._tables.requests:
            raise RequestIdReused("this request id opened another account; choose a new one")
        if await self.find_login(email=login.account.email):
            raise AccountExists("an account with this e-mail address exists; sign in instead")
        self._tables.logins[login.account.account_id] = login
        self._tables.requests[request_id] = login.account.account_id

    async def find(self, account_id: str) -> Account | None:
        """See AccountStore.find."""
        login = self._tables.logins.get(account_id)
        return login.account if login else None

    async def find_login(self, *, email: str) -> Login | None:
        """See AccountStore.find_login."""
        return next((login for login in self._tables.logins.values() if login.account.email == email), None)

    async def find_login_by_id(self, account_id: str) -> Login | None:
        """See AccountStore.find_login_by_id."""
        return self._tables.logins.get(account_id)

    async def find_sign_up(self, request_id: str) -> Login | None:
        """See AccountStore.find_sign_up."""
        return self._tables.logins.get(self._tables.requests.get(request_id, ""))

    async def change_password(self, login: Login, new_hash: str, *, keep_session: str, now: float) -> bool:
        """See AccountStore.change_password."""
        if not self._tables.replace_hash(login, new_hash):
            return False
        account_id = login.account.account_id
        others = [
            s.session_id
            for s, _ in self._tables.sessions.values()
            if s.account_id == account_id and s.session_id != keep_session
        ]
        ended = [self._tables.end(session_id, now) for session_id in others]
        if any(ended):
            self._tables.revoke(Target.ACCOUNT, account_id)
        return True

    async def set_tier(self, email: str, tier: str) -> Account | None:
        """See AccountStore.set_tier."""
        login = await self.find_login(email=email)
        if login is None or login.account.tier == tier:
            return login.account if login else None
        account = replace(login.account, tier=tier)
        self._tables.logins[account.account_id] = replace(login, account=account)
        self._tables.revoke(Target.ACCOUNT, account.account_id)
        return account


class MemoryKeys:
    """A KeyStore."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(self, key: ApiKey, digest: bytes, *, live_max: int, now: float) -> bool:
        """See KeyStore.add."""
        if sum(each.live(now) for each in self._of(key.account_id)) >= live_max:
            return False
        self._insert(key, digest, now)
        return True

    async def find(self, key_id: str) -> KeyHolder | None:
        """See KeyStore.find."""
        if key_id not in self._tables.keys:
            return None
        key, digest = self._tables.keys[key_id]
        return KeyHolder(key, self._tables.logins[key.account_id].account.tier, digest)

    async def page(self, account_id: str, *, before: int | None, limit: int) -> list[ApiKey]:
        """See KeyStore.page."""
        return [key for key in self._of(account_id) if before is None or key.position < before][:limit]

    async def replace(self, old_id: str, key: ApiKey, digest: bytes, *, now: float) -> bool:
        """See KeyStore.replace."""
        old, _ = self._tables.keys.get(old_id, (None, b""))
        if old is None or not old.live(now):
            return False
        await self.revoke(old.account_id, old_id, now=now)
        self._insert(key, digest, now)
        return True

    async def revoke(self, account_id: str, key_id: str, *, now: float) -> bool:
        """See KeyStore.revoke."""
        key, digest = self._tables.keys.get(key_id, (None, b""))
        if key is None or key.account_id != account_id:
            return False
        if key.revoked_at is None:
            self._tables.keys[key_id] = (replace(key, revoked_at=now), digest)
            self._tables.revoke(Target.CREDENTIAL, key_id)
        return True

    def _of(self, account_id: str) -> list[ApiKey]:
        keys = [key for key, _ in self._tables.keys.values() if key.account_id == account_id]
        return sorted(keys, key=lambda key: -key.position)

    def _insert(self, key: ApiKey, digest: bytes, now: float) -> None:
        self._tables.keys[key.key_id] = (replace(key, position=next(self._tables.positions)), digest)
        for old in self._of(key.account_id)[KEYS_KEPT_MAX:]:
            if not old.live(now):
                del self._tables.keys[old.key_id]


class MemorySessions:
    """A SessionStore."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def open(self, session: Session, digest: bytes, login: Login, *, rehashed: str | None, open_max: int) -> bool:
        """See SessionStore.open."""
        if not self._tables.replace_hash(login, rehashed or login.password_hash):
            return False
        now, account_id = session.created_at, session.account_id
        for old, _ in list(self._tables.sessions.values()):
            if old.account_id == account_id and old.expires_at < now - SESSION_FORGOTTEN_SECONDS:
                del self._tables.sessions[old.session_id]
        self._tables.sessions[session.session_id] = (replace(session, position=next(self._tables.positions)), digest)
        for surplus in self._live(account_id, now)[open_max:]:
            self._end(surplus.session_id, now)
        return True

    async def find(self, session_id: str) -> SessionHolder | None:
        """See SessionStore.find."""
        if session_id not in self._tables.sessions:
            return None
        session, digest = self._tables.sessions[session_id]
        return SessionHolder(session, self._tables.logins[session.account_id].account.tier, digest)

    async def page(self, account_id: str, *, before: int | None, limit: int, now: float) -> list[Session]:
        """See SessionStore.page."""
        return [each for each in self._live(account_id, now) if before is None or each.position < before][:limit]

    async def renew(self, session_id: str, old: bytes, new: bytes, *, now: float) -> bool:
        """See SessionStore.renew."""
        session, digest = self._tables.sessions.get(session_id, (None, b""))
        if session is None:
            return False
        if digest != old:
            self._end(session_id, now)
        elif session.live(now):
            self._tables.sessions[session_id] = (session, new)
        return digest == old and session.live(now)

    async def revoke(self, account_id: str, session_id: str, *, now: float) -> bool:
        """See SessionStore.revoke."""
        session, _ = self._tables.sessions.get(session_id, (None, b""))
        if session is None or session.account_id != account_id:
            return False
        self._end(session_id, now)
        return True

    def _live(self, account_id: str, now: float) -> list[Session]:
        sessions = [each for each, _ in self._tables.sessions.values() if each.account_id == account_id and each.live(now)]
        return sorted(sessions, key=lambda session: -session.position)

    def _end(self, session_id: str, now: float) -> None:
        if self._tables.end(session_id, now):
            self._tables.revoke(Target.CREDENTIAL, session_id)


def open_memory(log: RevocationLog) -> Store:
    """An empty store, publishing to `log`."""
    tables = Tables(log)
    return Store(MemoryAccounts(tables), MemoryKeys(tables), MemorySessions(tables))
