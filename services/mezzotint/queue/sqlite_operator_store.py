"""What operators need of the SQLite engine's files, by the engine's own two threads."""

from collections.abc import Collection, Mapping
from typing import Any

import apsw

from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.store import Payload


class SqliteOperatorStore:
    """An OperatorStore on the files of an engine, for as long as that is open."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    async def paused(self) -> frozenset[str]:
        """The tiers that are paused."""
        select = "SELECT tier FROM pause"
        return await self._engine.reader.run(lambda reading: frozenset(tier for (tier,) in reading.execute(select)))

    async def pause(self, tier: str) -> None:
        """The tier is paused from now on."""
        await self._write("INSERT OR IGNORE INTO pause VALUES (?)", tier)

    async def resume(self, tier: str) -> None:
        """The tier is not paused any more."""
        await self._write("DELETE FROM pause WHERE tier = ?", tier)

    async def payloads(self, job_ids: Collection[str], bytes_max: int) -> Mapping[str, Payload]:
        """What these jobs are to do."""
        select = "SELECT substr(payload, 1, ?), length(payload) FROM registry JOIN body USING (number) WHERE job_id = ?"

        def work(reading: apsw.Connection) -> dict[str, Payload]:
            found: dict[str, Payload] = {}
            for job_id in job_ids:
                row: Any = reading.execute(select, (bytes_max, job_id)).get
                if row is not None:
                    begin, size = row
                    found[job_id] = Payload(begin or b"", size)
            return found

        return await self._engine.reader.run(work)

    async def _write(self, statement: str, tier: str) -> None:
        await self._engine.writer.run(lambda writing: writing.execute(statement, (tier,)).fetchall())
