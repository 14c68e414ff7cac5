"""Accounts in SQLite."""

from typing import Any

from mezzotint.auth.records import Account, Login
from mezzotint.auth.revocations import Target
from mezzotint.auth.sqlite_database import Database, Transaction
from mezzotint.runtime.errors import AccountExists, RequestIdReused

COLUMNS = "account_id, email, tier, created_at, password_hash"


class SqliteAccounts:
    """An AccountStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, login: Login, request_id: str) -> None:
        """See AccountStore.add."""
        account = login.account

        def work(transaction: Transaction) -> None:
            if transaction.one("SELECT 1 FROM accounts WHERE request_id = ?", request_id):
                raise RequestIdReused("this request id opened another account; choose a new one")
            if transaction.one("SELECT 1 FROM accounts WHERE email = ?", account.email):
                raise AccountExists("an account with this e-mail address exists; sign in instead")
            row = (account.account_id, account.email, account.tier, account.created_at, login.password_hash, request_id)
            transaction.change(f"INSERT INTO accounts ({COLUMNS}, request_id) VALUES (?, ?, ?, ?, ?, ?)", *row)  # noqa: S608  # our own constant

        await self._database.run(work)

    async def find(self, account_id: str) -> Account | None:
        """See AccountStore.find."""
        login = await self.find_login_by_id(account_id)
        return login.account if login else None

    async def find_login(self, *, email: str) -> Login | None:
        """See AccountStore.find_login."""
        return await self._find("email", email)

    async def find_login_by_id(self, account_id: str) -> Login | None:
        """See AccountStore.find_login_by_id."""
        return await self._find("account_id", account_id)

    async def find_sign_up(self, request_id: str) -> Login | None:
        """See AccountStore.find_sign_up."""
        return await self._find("request_id", request_id)

    async def change_password(self, login: Login, new_hash: str, *, keep_session: str, now: float) -> bool:
        """See AccountStore.change_password."""
        account_id = login.account.account_id

        def work(transaction: Transaction) -> bool:
            if not replace_hash(transaction, login, new_hash):
                return False
            ended = transaction.change(
                "UPDATE sessions SET revoked_at = ? WHERE account_id = ? AND session_id <> ? AND revoked_at IS NULL",
                now,
                account_id,
                keep_session,
            )
            if ended:
                transaction.revoke(Target.ACCOUNT, account_id)
            return True

        return await self._database.run(work)

    async def set_tier(self, email: str, tier: str) -> Account | None:
        """See AccountStore.set_tier."""

        def work(transaction: Transaction) -> Account | None:
            moved = transaction.change("UPDATE accounts SET tier = ? WHERE email = ? AND tier <> ?", tier, email, tier)
            row = transaction.one(f"SELECT {COLUMNS} FROM accounts WHERE email = ?", email)  # noqa: S608  # our own constant
            if row and moved:
                transaction.revoke(Target.ACCOUNT, row[0])
            return login_of(row).account if row else None

        return await self._database.run(work)

    async def _find(self, column: str, value: str) -> Login | None:
        sql = f"SELECT {COLUMNS} FROM accounts WHERE {column} = ?"  # noqa: S608  # our own constants
        row = await self._database.run(lambda transaction: transaction.one(sql, value))
        return login_of(row) if row else None


def replace_hash(transaction: Transaction, login: Login, new_hash: str) -> bool:
    """Set an account's password hash; False, and nothing, if it is no longer `login`'s."""
    sql = "UPDATE accounts SET password_hash = ? WHERE account_id = ? AND password_hash = ?"
    return transaction.change(sql, new_hash, login.account.account_id, login.password_hash) == 1


def login_of(row: Any) -> Login:
    """A row of COLUMNS."""
    account_id, email, tier, created_at, password_hash = row
    return Login(Account(account_id, email, tier, created_at), password_hash)
