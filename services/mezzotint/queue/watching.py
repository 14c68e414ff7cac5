"""Streams of what happens to a job: the kept events without a gap, then live ones, and progress where nothing is kept."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from mezzotint.queue.engine import Engine
from mezzotint.queue.job import Job, JobEvent, JobState, Transition
from mezzotint.queue.kinds import Place
from mezzotint.queue.ledger import Ledger
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import SequenceAhead, ServerDraining

# A watcher that is further behind reads the events from the store again.
EVENTS_BUFFERED_MAX = 16
PICTURES_MAX = 16
WAITING = (JobState.QUEUED, JobState.DEFERRED)
# A place is told again when it changed, this often, and less often the longer the wait: after this part of it.
PLACE_PART = 0.1
PLACE_SECONDS_MAX = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """A worker moved on with one picture of a job. `preview` is an encoded picture, or empty."""

    attempt: int
    step: int
    steps: int
    preview: bytes
    image_index: int


@dataclass(frozen=True, slots=True)
class Sight:
    """One thing a watcher sees: a job's event, with its place while it waits, or progress after the event `sequence`."""

    sequence: int
    at: float
    event: JobEvent | None = None
    place: Place | None = None
    progress: Progress | None = None


class Watcher:
    """What one watcher has not seen yet: events, unless it fell behind, and the latest progress of each picture."""

    def __init__(self) -> None:
        self.events: deque[Transition] = deque()
        self.behind = False
        self.progress: dict[int, Sight] = {}
        self.wake = asyncio.Event()

    def tell(self, change: Transition) -> None:
        """The job changed; progress of what was before is of no interest any more."""
        self.progress.clear()
        self.behind = self.behind or len(self.events) >= EVENTS_BUFFERED_MAX
        if self.behind:
            self.events.clear()
        else:
            self.events.append(change)
        self.wake.set()

    def show(self, sight: Sight) -> None:
        """A worker moved on; the latest of each picture counts."""
        assert sight.progress, "only progress is shown"
        index = sight.progress.image_index
        if index in self.progress or len(self.progress) < PICTURES_MAX:
            self.progress.pop(index, None)
            self.progress[index] = sight
            self.wake.set()


class WatchHub:
    """Tells watchers what happens to their jobs. `place` tells where a waiting job stands; `pace` is in seconds."""

    def __init__(self, ledger: Ledger, engine: Engine, clock: Clock, place: Callable[[Job], Place], pace: float) -> None:
        self._ledger = ledger
        self._engine = engine
        self._clock = clock
        self._place = place
        self._pace = pace
        self._watchers: dict[str, set[Watcher]] = {}
        self._draining = False

    async def watch(self, job_id: str, account_id: str, after: int) -> AsyncIterator[Sight]:
        """Everything that happens to a job after a sequence, until its end.

        Raises JobNotFound, SequenceAhead, and ServerDraining when the server stops.
        """
        watcher = Watcher()
        self._watchers.setdefault(job_id, set()).add(watcher)
        try:
            job, _ = await self._ledger.get(job_id, account_id)
            if after > job.sequence:
                text = f"the events of job {job_id} have come to {job.sequence}, not to {after}; watch from there"
                raise SequenceAhead(text, metadata={"last_sequence": str(job.sequence)})
            if job.state.final and after == job.sequence:
                return
            watcher.behind = True
            async for sight in self._follow(job_id, watcher, after):
                yield sight
        finally:
            self._watchers[job_id].discard(watcher)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def report(self, job: Job, progress: Progress) -> None:
        """Pass a worker's progress to whoever watches the job."""
        sight = Sight(job.sequence, self._clock.now(), progress=progress)
        for watcher in self._watchers.get(job.job_id, ()):
            watcher.show(sight)

    def drain(self) -> None:
        """End every watch."""
        self._draining = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.wake.set()

    async def _follow(self, job_id: str, watcher: Watcher, last: int) -> AsyncIterator[Sight]:
        told: Place | None = None
        waits: JobEvent | None = None
        while True:
            watcher.wake.clear()
            for event in await self._news(job_id, watcher, last):
                job = self._ledger.hot(job_id)
                told = self._place(job) if job and job.state in WAITING and job.sequence == event.sequence else None
                waits = event
                last = event.sequence
                yield Sight(last, event.at, event, told)
                if event.state.final:
                    return
            while watcher.progress and not watcher.events and not watcher.behind:
                yield watcher.progress.pop(next(iter(watcher.progress)))
            if self._draining:
                raise ServerDraining(f"the queue is stopping; watch again from sequence {last}")
            if told is None or waits is None or watcher.events or watcher.behind:
                await self._rest(watcher, None)
            elif not await self._rest(watcher, self._pause(told)) and (moved := self._moved(job_id, waits, told)):
                told = moved.place
                yield moved

    async def _news(self, job_id: str, watcher: Watcher, last: int) -> list[JobEvent]:
        """The events after `last`: those told, or all from the store for a watcher that is behind."""
        if watcher.behind:
            watcher.behind = False
            watcher.events.clear()
            return await self._engine.events(job_id, last)
        news = [change.event for change in watcher.events if change.event.sequence > last]
        watcher.events.clear()
        return news

    async def _rest(self, watcher: Watcher, seconds: float | None) -> bool:
        """Wait for something new; False when nothing came in `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return await watcher.wake.wait()
        except TimeoutError:
            return False

    def _pause(self, place: Place) -> float:
        return min(PLACE_SECONDS_MAX, max(self._pace, (place.eta or 0.0) * PLACE_PART))

    def _moved(self, job_id: str, waits: JobEvent, told: Place) -> Sight | None:
        """The job's place, if it still waits as the event `waits` says and the place is not what was told."""
        job = self._ledger.hot(job_id)
        if job is None or job.state not in WAITING or job.sequence != waits.sequence or (place := self._place(job)) == told:
            return None
        now = self._clock.now()
        reason = waits.failure if waits.state is JobState.DEFERRED else None
        return Sight(waits.sequence, now, JobEvent(waits.sequence, now, waits.state, failure=reason), place)

    def observe(self, changes: Iterable[Transition]) -> None:
        """Jobs changed: tell whoever watches them."""
        if not self._watchers:
            return
        for change in changes:
            for watcher in self._watchers.get(change.job.job_id, ()):
                watcher.tell(change)
