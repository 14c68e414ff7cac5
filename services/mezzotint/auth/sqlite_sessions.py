"""Sessions in SQLite."""

# ruff: noqa: S608 - statements are put together from constants of this file only

from mezzotint.auth.records import Login, Session, SessionHolder
from mezzotint.auth.revocations import Target
from mezzotint.auth.sqlite_accounts import replace_hash
from mezzotint.auth.sqlite_database import Database, Transaction
from mezzotint.auth.store import SESSION_FORGOTTEN_SECONDS

COLUMNS = "session_id, account_id, created_at, expires_at, revoked_at, position"
INSERT = "INSERT INTO sessions (session_id, account_id, created_at, expires_at, digest) VALUES (?, ?, ?, ?, ?)"
PAGE = f"""SELECT {COLUMNS} FROM sessions
    WHERE account_id = ? AND revoked_at IS NULL AND expires_at > ? AND position < ? ORDER BY position DESC LIMIT ?"""
FIND = f"""SELECT {COLUMNS}, digest, (SELECT tier FROM accounts WHERE account_id = sessions.account_id)
    FROM sessions WHERE session_id = ?"""
SURPLUS = """SELECT session_id FROM sessions
    WHERE account_id = ? AND revoked_at IS NULL AND expires_at > ? ORDER BY position DESC LIMIT -1 OFFSET ?"""
POSITION_MAX = 2**63 - 1


class SqliteSessions:
    """A SessionStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, session: Session, digest: bytes, login: Login, *, rehashed: str | None, open_max: int) -> bool:
        """See SessionStore.open."""
        account_id, now = session.account_id, session.created_at

        def work(transaction: Transaction) -> bool:
            if not replace_hash(transaction, login, rehashed or login.password_hash):
                return False
            forgotten = now - SESSION_FORGOTTEN_SECONDS
            transaction.change("DELETE FROM sessions WHERE account_id = ? AND expires_at < ?", account_id, forgotten)
            transaction.change(INSERT, session.session_id, account_id, now, session.expires_at, digest)
            for (surplus,) in transaction.all(SURPLUS, account_id, now, open_max):
                end(transaction, surplus, now)
            return True

        return await self._database.run(work)

    async def find(self, session_id: str) -> SessionHolder | None:
        """See SessionStore.find."""
        row = await self._database.run(lambda transaction: transaction.one(FIND, session_id))
        return SessionHolder(Session(*row[:-2]), digest=row[-2], tier=row[-1]) if row else None

    async def page(self, account_id: str, *, before: int | None, limit: int, now: float) -> list[Session]:
        """See SessionStore.page."""
        values = (account_id, now, POSITION_MAX if before is None else before, limit)
        return [Session(*row) for row in await self._database.run(lambda transaction: transaction.all(PAGE, *values))]

    async def renew(self, session_id: str, old: bytes, new: bytes, *, now: float) -> bool:
        """See SessionStore.renew."""

        def work(transaction: Transaction) -> bool:
            sql = "UPDATE sessions SET digest = ? WHERE session_id = ? AND digest = ? AND revoked_at IS NULL AND expires_at > ?"
            if transaction.change(sql, new, session_id, old, now):
                return True
            if transaction.one("SELECT 1 FROM sessions WHERE session_id = ? AND digest <> ?", session_id, old):
                end(transaction, session_id, now)
            return False

        return await self._database.run(work)

    async def revoke(self, account_id: str, session_id: str, *, now: float) -> bool:
        """See SessionStore.revoke."""

        def work(transaction: Transaction) -> bool:
            known = transaction.one("SELECT 1 FROM sessions WHERE account_id = ? AND session_id = ?", account_id, session_id)
            if known:
                end(transaction, session_id, now)
            return known is not None

        return await self._database.run(work)


def end(transaction: Transaction, session_id: str, now: float) -> None:
    """Revoke a session if it is not yet."""
    if transaction.change("UPDATE sessions SET revoked_at = ? WHERE session_id = ? AND revoked_at IS NULL", now, session_id):
        transaction.revoke(Target.CREDENTIAL, session_id)
