"""What was acknowledged, kept by the caller; and the comparison of a store with it."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from mezzotint.queue import transitions
from mezzotint.queue.engine import Engine, JobQuery
from mezzotint.queue.job import Job, JobEvent, JobState, NewJob, Transition
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.runtime.errors import JobNotFound, ServerOverloaded
from tests.queue.records import admit

EVERYTHING = JobQuery("", frozenset(), 0, 1_000_000)
TABLES = ("registry", "job", "finished", "body", "event")
Counts = tuple[int, ...]


class Lost(AssertionError):
    """A store is not what was acknowledged."""


@dataclass
class Entry:
    """One job: as acknowledged (None: its acceptance is not yet), and the change under way."""

    new: NewJob
    job: Job | None
    history: list[JobEvent]
    change: Transition | None
    seen: bool = False
    """Somebody has read the change under way: it counts as acknowledged."""

    @property
    def result(self) -> bytes:
        """What the job gave."""
        return self.history[-1].result if self.history else b""

    def settle(self, kept: Job) -> None:
        """The change under way was made."""
        assert self.change
        self.job = kept
        self.history.append(self.change.event)
        self.change, self.seen = None, False

    def drop(self) -> None:
        """The change under way was not made."""
        if self.seen:
            raise Lost(f"{self.change} was read and is not there")
        self.change = None

    def read(self, before: Job | None, job: Job, result: bytes) -> None:
        """Somebody who began at `before` has read this record: it must be no older, and counts as acknowledged from now on."""
        if before and job.sequence < before.sequence:
            raise Lost(f"read {job}, acknowledged was {before}")
        if not self.job or job.sequence > self.job.sequence:
            if not self.change or replace(self.change.job, number=job.number) != job:
                raise Lost(f"read {job}, asked for was {self.change}")
            self.seen = True
        elif job.sequence == self.job.sequence and (job, result) != (self.job, self.result):
            raise Lost(f"read {job}, acknowledged was {self.job}")


@dataclass
class Book:
    """Every job that was asked for, by id. `forgetting` are those that a call under way drops."""

    entries: dict[str, Entry] = field(default_factory=dict)
    forgetting: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)

    def note(self, change: Transition, new: NewJob | None = None) -> Entry:
        """A change is asked for."""
        job_id = change.job.job_id
        self.touched.add(job_id)
        if new:
            self.entries[job_id] = Entry(new, None, [], change)
        entry = self.entries[job_id]
        entry.change = change
        return entry

    def finished_before(self, moment: float) -> list[str]:
        """Jobs that were final before a moment, in the order in which they became so."""
        ends = [
            (entry.job.finished_at, job_id) for job_id, entry in self.entries.items() if entry.job and entry.job.finished_at
        ]
        return [job_id for at, job_id in sorted(ends) if at < moment]

    async def compare(self, engine: SqliteEngine) -> None:
        """Raise Lost unless the store holds what was acknowledged, and of each change under way all or nothing.

        Changes that turn out to be kept count as acknowledged from then on.
        """
        found = {job.job_id: job for job in await engine.search(EVERYTHING)}
        self._settle_forgetting(set(found))
        for job_id, entry in list(self.entries.items()):
            self._settle(job_id, entry, found.pop(job_id, None))
        if found:
            raise Lost(f"nobody asked for {sorted(found)}")
        jobs = [entry.job for entry in self.entries.values() if entry.job]
        if await engine.recover() != sorted((job for job in jobs if not job.state.final), key=lambda job: job.number):
            raise Lost("the unfinished jobs are not those that are recovered")
        if await count_rows(engine) != self._rows():
            raise Lost(f"rows {await count_rows(engine)}, of jobs {self._rows()} in {TABLES}")
        for job_id in self.touched:
            await self._compare_one(engine, job_id)
        self.touched.clear()

    def _settle_forgetting(self, found: set[str]) -> None:
        left = self.forgetting & found
        if left and left != self.forgetting:
            raise Lost(f"half of the old jobs were dropped: {sorted(left)} are there")
        if not left:
            for job_id in self.forgetting:
                del self.entries[job_id]
        self.forgetting = set()

    def _settle(self, job_id: str, entry: Entry, found: Job | None) -> None:
        if entry.change and found and replace(entry.change.job, number=found.number) == found:
            entry.settle(found)
        elif found != entry.job:
            raise Lost(f"{job_id} is {found}, acknowledged was {entry.job}, asked for {entry.change}")
        elif entry.seen:
            raise Lost(f"{entry.change} was read and is not there")
        elif found is None:
            del self.entries[job_id]
        else:
            entry.drop()

    def _rows(self) -> Counts:
        entries = self.entries.values()
        final = sum(1 for entry in entries if entry.job and entry.job.state.final)
        return len(entries), len(entries) - final, final, len(entries), sum(len(entry.history) for entry in entries)

    async def _compare_one(self, engine: Engine, job_id: str) -> None:
        """Its events, result and request id."""
        entry = self.entries.get(job_id)
        events = await engine.events(job_id, 0)
        if entry is None:
            if events:
                raise Lost(f"{job_id} is not there, its events are")
            return
        if events != entry.history or [event.sequence for event in events] != list(range(1, len(events) + 1)):
            raise Lost(f"{job_id} has the events {events}, acknowledged were {entry.history}")
        try:
            kept = await engine.find(job_id)
        except JobNotFound as error:
            raise Lost(f"{job_id} is listed and not found") from error
        if kept != (entry.job, entry.result if kept[0].state is JobState.SUCCEEDED else b""):
            raise Lost(f"{job_id} is {kept}")
        try:
            accepted = transitions.accept(entry.new, "job_again", 0.0)
            again = await admit(engine, accepted, entry.new, ServerOverloaded("a new job"))
        except ServerOverloaded as error:
            raise Lost(f"the request id of {job_id} is not known any more") from error
        if again.job != entry.job:
            raise Lost(f"the request id of {job_id} gives {again}")


async def count_rows(engine: SqliteEngine) -> Counts:
    """How many rows each table has."""
    return await engine.reader.run(
        lambda reading: tuple(reading.execute(f"SELECT count(*) FROM {name}").get for name in TABLES)
    )
