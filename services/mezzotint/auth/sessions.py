"""Signing in and staying signed in: a short access token, and a refresh token that works once."""

from dataclasses import dataclass, field

from mezzotint.auth import refresh_tokens
from mezzotint.auth.accounts import normal_email
from mezzotint.auth.pages import Pages
from mezzotint.auth.passwords import Passwords
from mezzotint.auth.pepper import Pepper
from mezzotint.auth.records import Session
from mezzotint.auth.store import Store
from mezzotint.auth.tokens import AccessTokens
from mezzotint.runtime.clock import Clock, NewId
from mezzotint.runtime.errors import CallerNotAllowed, CredentialExpired, CredentialInvalid, CredentialRevoked, SessionNotFound
from mezzotint.runtime.interceptors.access import Principal

# However often it is refreshed, a session ends then.
LIFE_SECONDS = 30 * 24 * 3600
# Open sessions of one account; of more the oldest ends.
OPEN_MAX = 100
# The purpose that refresh tokens are hashed for.
DIGEST = "refresh-token"


@dataclass(frozen=True)
class Tokens:
    """What a signed-in client holds."""

    session: Session
    access_token: str = field(repr=False)
    access_expires_at: float
    refresh_token: str = field(repr=False)


class Sessions:
    """The sessions in a store."""

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        access: AccessTokens,
        pepper: Pepper,
        pages: Pages,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._access = access
        self._pepper = pepper
        self._pages = pages
        self._clock = clock
        self._new_id = new_id

    async def sign_in(self, *, email: str, password: str) -> Tokens:
        """Open a session. Raises CredentialInvalid, the same and as late for an unknown address, and ServerOverloaded."""
        wrong = CredentialInvalid("the e-mail address or the password is wrong")
        login = await self._store.accounts.find_login(email=normal_email(email))
        verdict = await self._passwords.verify(password, login.password_hash if login else None)
        if login is None or not verdict.right:
            raise wrong
        account, now = login.account, self._clock.now()
        session = Session(self._new_id("ses"), account.account_id, now, now + LIFE_SECONDS)
        refresh = refresh_tokens.mint(session.session_id, self._pepper)
        digest = self._digest(refresh)
        if not await self._store.sessions.open(session, digest, login, rehashed=verdict.rehashed, open_max=OPEN_MAX):
            raise wrong
        return self._tokens(session, account.tier, refresh)

    async def refresh(self, token: str) -> Tokens:
        """A new pair for a refresh token, which is used up then.

        Raises CredentialInvalid, CredentialExpired, and CredentialRevoked, as for a token used twice, which ends the session.
        """
        session_id = refresh_tokens.parse(token, self._pepper)
        fresh, now = refresh_tokens.mint(session_id, self._pepper), self._clock.now()
        renewed = await self._store.sessions.renew(session_id, self._digest(token), self._digest(fresh), now=now)
        holder = await self._store.sessions.find(session_id)
        if holder is None:
            raise CredentialInvalid("the session of this refresh token is gone; sign in again")
        if holder.session.revoked_at is not None:
            raise CredentialRevoked("the session was ended, or its refresh token used twice; sign in again")
        if not renewed:
            raise CredentialExpired("the session's 30 days are over; sign in again")
        return self._tokens(holder.session, holder.tier, fresh)

    async def sign_out(self, caller: Principal) -> None:
        """End the caller's own session. Raises CallerNotAllowed when an API key calls."""
        if not await self._store.sessions.revoke(caller.account_id, caller.credential_id, now=self._clock.now()):
            raise CallerNotAllowed("SignOut ends the session whose access token calls; withdraw an API key with RevokeApiKey")

    async def page(self, account_id: str, *, size: int, token: str) -> tuple[list[Session], str]:
        """A page of an account's open sessions, newest first, and the next page's token. Raises PageTokenInvalid."""
        query, size = f"sessions {account_id}", self._pages.size(size)
        before, now = self._pages.before(token, query), self._clock.now()
        found = await self._store.sessions.page(account_id, before=before, limit=size + 1, now=now)
        return found[:size], self._pages.next_token([session.position for session in found], size, query)

    async def revoke(self, account_id: str, session_id: str) -> None:
        """End one of an account's sessions. Raises SessionNotFound."""
        if not await self._store.sessions.revoke(account_id, session_id, now=self._clock.now()):
            raise SessionNotFound(f"the account has no session {session_id}; list its sessions")

    def _tokens(self, session: Session, tier: str, refresh: str) -> Tokens:
        access, expires_at = self._access.issue(
            account_id=session.account_id, session_id=session.session_id, tier=tier, ends_at=session.expires_at
        )
        return Tokens(session, access, expires_at, refresh)

    def _digest(self, token: str) -> bytes:
        return self._pepper.digest(DIGEST, token)
