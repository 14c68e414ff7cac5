"""What was acknowledged, kept by the caller; and the comparison of a store with it."""

import dataclasses
from dataclasses import dataclass, field

from msgspec.structs import replace

from mezzotint.queue import transitions
from mezzotint.queue.engine import Engine, JobQuery
from mezzotint.queue.job import Job, JobEvent, JobState, NewJob, Transition
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.queue.sqlite_operator_store import SqliteOperatorStore
from mezzotint.runtime.errors import JobNotFound, MezzotintError, ServerOverloaded, StorageFull
from tests.queue.power_loss.lost import Lost
from tests.queue.power_loss.paused import PausedTiers
from tests.queue.records import admit

EVERYTHING = JobQuery("", frozenset(), 0, 1_000_000)
TABLES = ("registry", "job", "finished", "body", "event", "label", "pause")
Counts = tuple[int, ...]


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
    """Every job that was asked for, by id, and the paused tiers. `forgetting` are jobs that a call under way drops, `redriving`
    failed ones with the new jobs that a call under way marks them with.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    paused: PausedTiers = field(default_factory=PausedTiers)
    forgetting: set[str] = field(default_factory=set)
    redriving: dict[str, str] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    def note(self, change: Transition, new: NewJob | None = None) -> Entry:
        """A change is asked for."""
        job_id = change.job.job_id
        self.touched.add(job_id)
        if new:
            self.entries[job_id] = Entry(new, None, [], change)
            if new.redrives:
                self.redriving[new.redrives] = job_id
        entry = self.entries[job_id]
        entry.change = change
        return entry

    def accepted(self, entry: Entry, job: Job) -> None:
        """A new job was kept; one that redrives another marked that one in the same change."""
        entry.settle(job)
        if entry.new.redrives:
            self._mark(entry.new.redrives)

    def refused(self, entry: Entry, refusal: MezzotintError) -> None:
        """A new job was not kept, and nothing was marked. A redrive is refused when its job is marked or gone, and not else."""
        assert entry.change
        if entry.seen:
            raise Lost(f"{entry.change} was read and refused")
        redriven = entry.new.redrives
        dead = self.entries.get(redriven)
        gone, marked = dead is None or redriven in self.forgetting, dead is None or bool(dead.job and dead.job.redriven_by)
        if not isinstance(refusal, StorageFull) and not (gone if isinstance(refusal, JobNotFound) else marked):
            raise Lost(f"a redrive of {dead} was refused: {refusal}")
        del self.entries[entry.change.job.job_id]
        self.redriving.pop(redriven, None)

    def read(self, entry: Entry, before: Job | None, job: Job, result: bytes) -> None:
        """Somebody who began at `before` has read a record, and with it perhaps the mark of a redrive under way."""
        mark = entry.job.redriven_by if entry.job else ""
        if mark and not job.redriven_by and not (before and before.redriven_by):
            job = replace(job, redriven_by=mark)  # the mark came while it was read
        elif job.redriven_by and not mark:
            if self.redriving.get(job.job_id) != job.redriven_by:
                raise Lost(f"read {job}, which nobody redrives")
            self.entries[job.redriven_by].seen = True
            job = replace(job, redriven_by="")
        entry.read(before, job, result)

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
        self._settle_redrives(set(found))
        self.paused.compare(await SqliteOperatorStore(engine).paused())
        for job_id, entry in list(self.entries.items()):
            self._settle(job_id, entry, found.pop(job_id, None))
        if found:
            raise Lost(f"nobody asked for {sorted(found)}")
        jobs = [entry.job for entry in self.entries.values() if entry.job]
        if await engine.recover() != sorted((job for job in jobs if not job.state.final), key=lambda job: job.number):
            raise Lost("the unfinished jobs are not those that are recovered")
        if await count_rows(engine) != self._rows():
            raise Lost(f"rows {await count_rows(engine)}, of jobs {self._rows()} in {TABLES}")
        await self._compare_indexes(engine, jobs)
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

    def _settle_redrives(self, found: set[str]) -> None:
        """The new job of a redrive and the mark are one change: whoever finds the one must find the other."""
        for redriven, job_id in list(self.redriving.items()):
            if job_id in found:
                self._mark(redriven)
        self.redriving.clear()

    def _mark(self, redriven: str) -> None:
        job_id = self.redriving.pop(redriven)
        self.touched.add(redriven)
        if (entry := self.entries.get(redriven)) and entry.job:  # else it was forgotten meanwhile
            if entry.job.redriven_by:
                raise Lost(f"{redriven} was redriven by {entry.job.redriven_by}, and again by {job_id}")
            entry.job = replace(entry.job, redriven_by=job_id)

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
        events, labels = sum(len(entry.history) for entry in entries), sum(len(entry.new.labels) for entry in entries)
        return len(entries), len(entries) - final, final, len(entries), events, labels, len(self.paused.tiers)

    async def _compare_indexes(self, engine: SqliteEngine, jobs: list[Job]) -> None:
        """What finds dead jobs, and jobs by their labels, has them all and no others."""
        dead = {job.job_id for job in jobs if job.state is JobState.FAILED and not job.redriven_by}
        if (found := {job.job_id for job in await engine.search(dataclasses.replace(EVERYTHING, dead=True))}) != dead:
            raise Lost(f"{sorted(found)} are listed as dead, acknowledged were {sorted(dead)}")
        labels = {(*label, job.number) for job in jobs for label in job.labels}
        if (rows := await engine.reader.run(lambda reading: set(reading.execute("SELECT * FROM label")))) != labels:
            raise Lost(f"the labels are {sorted(rows)}, acknowledged were {sorted(labels)}")

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
