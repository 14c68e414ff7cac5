"""A queue that can be killed at any moment, on a store that survives it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from mezzotint.queue.background import Background
from mezzotint.queue.backoff import Backoff
from mezzotint.queue.capacity import Capacity
from mezzotint.queue.dispatcher import Dispatcher
from mezzotint.queue.engine import Candidate, Enqueued, StoreUnavailable
from mezzotint.queue.intake import Intake
from mezzotint.queue.job import Job, JobState, Transition
from mezzotint.queue.lease_endings import LeaseEndings
from mezzotint.queue.lease_keeper import LeaseKeeper
from mezzotint.queue.leases import LeaseTable
from mezzotint.queue.ledger import Ledger
from mezzotint.queue.memory_engine import MemoryEngine
from mezzotint.queue.open_jobs import OpenJobs
from mezzotint.queue.roster import Roster
from mezzotint.queue.tiers import Policy
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.queue.watching import WatchHub
from mezzotint.queue.work_stream import Floor
from mezzotint.runtime.errors import MezzotintError
from tests.queue.simulation.virtual_time import VirtualClock
from tests.queue.simulation.witness import Witness


class SlowEngine(MemoryEngine):
    """A store that takes its time before a change is kept and before that is told; a killed server is told nothing."""

    def __init__(self, inner: MemoryEngine, witness: Witness, generator: random.Random) -> None:
        super().__init__()
        self.__dict__.update(inner.__dict__)
        self._inner = inner
        self._witness = witness
        self._random = generator
        self.dead = False

    async def enqueue(self, candidates: Sequence[Candidate]) -> list[Enqueued | MezzotintError]:
        """Keep new jobs or find the earlier ones."""
        await self._pause()
        outcomes = await self._inner.enqueue(candidates)
        for candidate, kept in zip(candidates, outcomes, strict=True):
            if isinstance(kept, Enqueued) and not kept.replayed:
                with self._witness.looking():
                    self._witness.kept_new(candidate.new, kept.job)
        await self._pause()
        return outcomes

    async def start(self, change: Transition) -> bytes:
        """Make a change to RUNNING and give the payload."""
        await self.commit(change)
        return self.payloads[change.job.job_id]

    async def commit(self, change: Transition) -> None:
        """Make any other change."""
        await self._pause()
        await self._inner.commit(change)
        with self._witness.looking():
            self._witness.kept(change)
        await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.choice((0.0, 0.001, 0.05)))
        if self.dead:
            raise StoreUnavailable("the server was killed")


@dataclass(frozen=True)
class Times:
    """How long things take, in seconds."""

    scale: float

    @property
    def lease(self) -> float:
        return 10.0 * self.scale

    @property
    def tick(self) -> float:
        return 0.5 * self.scale


class World:
    """The store, and the server that runs on it at present."""

    def __init__(self, policy: Policy, times: Times, witness: Witness, generator: random.Random) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.times = times
        self.witness = witness
        self.store = MemoryEngine()
        self.up = asyncio.Event()
        self.crashes = 0
        self.modes: set[str] = set()
        self._policy = policy
        self._random = generator
        self._numbers = 0
        self._background = Background()

    async def start(self) -> None:
        """Recover what is on the store and go on."""
        self.witness.floors.restarted()
        self._engine = SlowEngine(self.store, self.witness, self._random)
        self._background = background = Background()
        self.room = WaitingRoom(self._policy)
        roster, leases = Roster(), LeaseTable(self.times.lease, self.times.lease)
        jobs = OpenJobs(Capacity(10**6, 10**6))
        intake = Intake(self._engine, jobs, self.clock, self._id, self._policy.names(), self.room.defers)
        ledger = Ledger(self._engine, jobs)
        endings = LeaseEndings(ledger, leases, self.clock, background)
        keeper = LeaseKeeper(leases, roster, endings, self.clock)
        dispatcher = Dispatcher(ledger, self.room, leases, roster, endings, self.clock, background)
        hub = WatchHub(ledger, self._engine, self.clock, dispatcher.place, self.times.scale)
        jobs.listeners += [keeper.observe, dispatcher.observe, hub.observe]
        found = await self.recovered()
        keeper.restore(found)
        dispatcher.restore(found)
        await ledger.recover()
        backoff = Backoff(self.times.scale, 60 * self.times.scale, self._random.random)
        self.floor = Floor(
            intake, ledger, keeper, endings, dispatcher, hub, background, self.clock, backoff, self.times.lease / 5
        )
        background.spawn(self._tick())
        self.up.set()

    async def recovered(self) -> list[Job]:
        """I12: what a recovery finds, which is the same however often it is done."""
        once, twice = await self.store.recover(), await self.store.recover()
        assert once == twice, "I12: recovery changes nothing"
        assert {job.job_id for job in once} == {job.job_id for job in self.witness.jobs.values() if not job.state.final}
        return once

    async def crash(self) -> None:
        """kill -9: nothing that was not kept is, and nobody is told anything more."""
        self.crashes += 1
        self.up.clear()
        self._engine.dead = True
        await self._background.close()

    async def found(self) -> dict[str, Job]:
        """Every job, as a reader of the store finds it."""
        return {job_id: (await self.store.find(job_id))[0] for job_id in self.witness.jobs}

    def busy(self) -> int:
        """Jobs that are not final."""
        return sum(count for state, count in self.witness.states.items() if not state.final)

    def waiting(self) -> int:
        """Jobs that wait for a worker or their turn."""
        return self.witness.states[JobState.QUEUED] + self.witness.states[JobState.DEFERRED]

    async def _tick(self) -> None:
        while True:
            self.floor.keeper.tick()
            self.floor.dispatcher.tick()
            self.modes.add(self.room.peak.mode.name)
            await asyncio.sleep(self.times.tick)

    def _id(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}_{self._numbers:07d}"
