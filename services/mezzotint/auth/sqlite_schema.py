"""The tables, as the steps that lead from an empty database to the newest form. Steps that were released are never changed."""

MIGRATIONS = (
    """
    CREATE TABLE accounts (
        account_id TEXT PRIMARY KEY,
        email TEXT NOT NULL UNIQUE,
        tier TEXT NOT NULL,
        created_at REAL NOT NULL,
        password_hash TEXT NOT NULL,
        request_id TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE api_keys (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        key_id TEXT NOT NULL UNIQUE,
        account_id TEXT NOT NULL REFERENCES accounts,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL,
        revoked_at REAL,
        digest BLOB NOT NULL
    ) STRICT;
    CREATE INDEX api_keys_by_account ON api_keys (account_id, position);
    CREATE TABLE sessions (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL UNIQUE,
        account_id TEXT NOT NULL REFERENCES accounts,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        revoked_at REAL,
        digest BLOB NOT NULL
    ) STRICT;
    CREATE INDEX sessions_by_account ON sessions (account_id, position);
    CREATE TABLE revocations (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL,
        target_id TEXT NOT NULL
    ) STRICT;
    """,
)
