"""Opening accounts, and what their holders and operators change of them."""

import unicodedata
from collections.abc import Sequence

from mezzotint.auth.passwords import Passwords
from mezzotint.auth.records import Account, Login
from mezzotint.auth.store import AccountStore
from mezzotint.auth.tiers import FIRST
from mezzotint.runtime.clock import Clock, NewId
from mezzotint.runtime.errors import AccountExists, AccountNotFound, CredentialInvalid, RequestIdReused, TierUnknown


class Accounts:
    """The accounts in a store. `tiers` are the names an account's tier can have."""

    def __init__(self, store: AccountStore, passwords: Passwords, tiers: Sequence[str], clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._passwords = passwords
        self._tiers = tuple(tiers)
        self._clock = clock
        self._new_id = new_id

    async def sign_up(self, *, request_id: str, email: str, password: str) -> Account:
        """Open an account; the same request again gives the same account.

        Raises AccountExists, RequestIdReused (the id came with another address or password before), ServerOverloaded.
        """
        email = normal_email(email)
        if earlier := await self._store.find_sign_up(request_id):
            return await self._repeated(earlier, email, password)
        if await self._store.find_login(email=email):
            raise AccountExists("an account with this e-mail address exists; sign in instead")
        account = Account(self._new_id("acc"), email, FIRST, self._clock.now())
        try:
            await self._store.add(Login(account, await self._passwords.hash(password)), request_id)
        except (AccountExists, RequestIdReused):
            # Another call was quicker while this one hashed: perhaps the same request.
            if (earlier := await self._store.find_sign_up(request_id)) is None:
                raise
            return await self._repeated(earlier, email, password)
        return account

    async def get(self, account_id: str) -> Account:
        """An account by its id. Raises AccountNotFound."""
        account = await self._store.find(account_id)
        if account is None:
            raise AccountNotFound(f"no account {account_id}")
        return account

    async def change_password(self, account_id: str, credential_id: str, *, old: str, new: str) -> None:
        """Set a new password and end every session but `credential_id`. Raises CredentialInvalid, ServerOverloaded."""
        login = await self._store.find_login_by_id(account_id)
        verdict = await self._passwords.verify(old, login.password_hash if login else None)
        if login is None or not verdict.right:
            raise CredentialInvalid("the old password is wrong")
        new_hash = await self._passwords.hash(new)
        if not await self._store.change_password(login, new_hash, keep_session=credential_id, now=self._clock.now()):
            raise CredentialInvalid("the password was changed meanwhile; the old one is wrong now")

    async def set_tier(self, *, email: str, tier: str) -> Account:
        """Move an account to another tier. Raises TierUnknown, AccountNotFound."""
        if tier not in self._tiers:
            known = ", ".join(self._tiers)
            raise TierUnknown(f"there is no tier {tier!r}; there are {known}", metadata={"tiers": known})
        account = await self._store.set_tier(normal_email(email), tier)
        if account is None:
            raise AccountNotFound("no account has this e-mail address")
        return account

    async def _repeated(self, earlier: Login, email: str, password: str) -> Account:
        same = earlier.account.email == email and (await self._passwords.verify(password, earlier.password_hash)).right
        if not same:
            raise RequestIdReused("this request id opened another account, or this one with another password; choose a new one")
        return earlier.account


def normal_email(email: str) -> str:
    """The one form of an address that accounts are found by: composed characters, lower case."""
    return unicodedata.normalize("NFC", email.strip().lower())
