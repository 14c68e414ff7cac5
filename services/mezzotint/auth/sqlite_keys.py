"""API keys in SQLite."""

# ruff: noqa: S608 - statements are put together from constants of this file only

from typing import Any

from mezzotint.auth.records import ApiKey, KeyHolder
from mezzotint.auth.revocations import Target
from mezzotint.auth.sqlite_database import Database, Transaction
from mezzotint.auth.store import KEYS_KEPT_MAX

COLUMNS = "key_id, account_id, name, scopes, created_at, expires_at, revoked_at, position"
LIVE = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
INSERT = "INSERT INTO api_keys (key_id, account_id, name, scopes, created_at, expires_at, digest) VALUES (?, ?, ?, ?, ?, ?, ?)"
COUNT = f"SELECT count(*) FROM api_keys WHERE account_id = ? AND {LIVE}"
PAGE = f"SELECT {COLUMNS} FROM api_keys WHERE account_id = ? AND position < ? ORDER BY position DESC LIMIT ?"
FIND = f"""SELECT {COLUMNS}, digest, (SELECT tier FROM accounts WHERE account_id = api_keys.account_id)
    FROM api_keys WHERE key_id = ?"""
RETIRE = f"UPDATE api_keys SET revoked_at = ? WHERE key_id = ? AND {LIVE}"
FORGET = f"""DELETE FROM api_keys WHERE account_id = ? AND NOT ({LIVE})
    AND position <= (SELECT position FROM api_keys WHERE account_id = ? ORDER BY position DESC LIMIT 1 OFFSET ?)"""
POSITION_MAX = 2**63 - 1


class SqliteKeys:
    """A KeyStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey, digest: bytes, *, live_max: int, now: float) -> bool:
        """See KeyStore.add."""

        def work(transaction: Transaction) -> bool:
            live = transaction.one(COUNT, key.account_id, now)[0]
            if live < live_max:
                insert(transaction, key, digest, now)
            return bool(live < live_max)

        return await self._database.run(work)

    async def find(self, key_id: str) -> KeyHolder | None:
        """See KeyStore.find."""
        row = await self._database.run(lambda transaction: transaction.one(FIND, key_id))
        return KeyHolder(key_of(row[:-2]), digest=row[-2], tier=row[-1]) if row else None

    async def page(self, account_id: str, *, before: int | None, limit: int) -> list[ApiKey]:
        """See KeyStore.page."""
        values = (account_id, POSITION_MAX if before is None else before, limit)
        return [key_of(row) for row in await self._database.run(lambda transaction: transaction.all(PAGE, *values))]

    async def replace(self, old_id: str, key: ApiKey, digest: bytes, *, now: float) -> bool:
        """See KeyStore.replace."""

        def work(transaction: Transaction) -> bool:
            if not transaction.change(RETIRE, now, old_id, now):
                return False
            transaction.revoke(Target.CREDENTIAL, old_id)
            insert(transaction, key, digest, now)
            return True

        return await self._database.run(work)

    async def revoke(self, account_id: str, key_id: str, *, now: float) -> bool:
        """See KeyStore.revoke."""

        def work(transaction: Transaction) -> bool:
            sql = "UPDATE api_keys SET revoked_at = ? WHERE account_id = ? AND key_id = ? AND revoked_at IS NULL"
            if transaction.change(sql, now, account_id, key_id):
                transaction.revoke(Target.CREDENTIAL, key_id)
                return True
            known = transaction.one("SELECT 1 FROM api_keys WHERE account_id = ? AND key_id = ?", account_id, key_id)
            return known is not None

        return await self._database.run(work)


def insert(transaction: Transaction, key: ApiKey, digest: bytes, now: float) -> None:
    """Keep a new key, and forget the oldest of too many."""
    scopes = " ".join(key.scopes)
    transaction.change(INSERT, key.key_id, key.account_id, key.name, scopes, key.created_at, key.expires_at, digest)
    transaction.change(FORGET, key.account_id, now, key.account_id, KEYS_KEPT_MAX)


def key_of(row: Any) -> ApiKey:
    """A row of COLUMNS."""
    key_id, account_id, name, scopes, *rest = row
    return ApiKey(key_id, account_id, name, tuple(scopes.split()), *rest)
