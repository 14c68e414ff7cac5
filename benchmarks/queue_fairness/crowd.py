"""Workers and a crowd in virtual time around the queue's real waiting room. Deterministic: one seed, no clock."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from mezzotint.queue import transitions
from mezzotint.queue.job import Job, JobState, NewJob
from mezzotint.queue.kinds import Moment
from mezzotint.queue.tiers import Policy
from mezzotint.queue.waiting_room import WaitingRoom

KIND = "image.generate"
TICK_SECONDS = 0.25
EPOCH = 1_767_268_800.0
# What pictures are expected to cost, and what they really do, in parts of it.
COSTS_MS = (500, 1000, 2000, 4000)
REAL_COST = (0.7, 1.3)


@dataclass(slots=True)
class Started:
    """A job that started `wait` seconds after it was accepted; `p90` is what it was told then, None: nothing."""

    job: Job
    at: float
    wait: float
    p90: float | None
    real_ms: int = 0


class Crowd:
    """Accounts send jobs, `workers` do one each at a time. `asks`: every job is told its place when it is accepted."""

    def __init__(self, policy: Policy, workers: int, seed: int, *, asks: bool = False) -> None:
        self._seed = seed
        self._work = random.Random(seed)
        self.room = WaitingRoom(policy)
        self.started: list[Started] = []
        self.at = 0.0
        self._idle = workers
        self._asks = asks
        self._told: dict[str, float | None] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self.when_done: Callable[[Job], None] = lambda job: None
        self.after(0.0, self._tick)

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._events, (self.at + seconds, next(self._numbers), what))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until:
            self.at, _, what = heapq.heappop(self._events)
            what()

    def send(self, tier: str, account: str, generator: random.Random | None = None) -> None:
        """An account asks for a picture."""
        job_id = f"job_{next(self._numbers)}"
        cost = (generator or self._work).choice(COSTS_MS)
        new = NewJob(job_id, account, tier, KIND, b"", cost, 7 * 86_400.0, 3)
        job = transitions.accept(new, job_id, EPOCH + self.at, self.room.defers(tier, KIND)).job
        self.room.enter(job, self._moment())
        if self._asks:
            self._told[job_id] = self.room.place(job, self._moment(), [KIND]).eta_p90
        self._dispatch()

    def keep_sending(self, tier: str, rate: Callable[[float], float], accounts: int) -> None:
        """Jobs of a tier from any of its accounts, `rate` a second at each moment (a Poisson process).

        A tier's jobs are the same whatever the other tiers send.
        """
        generator = random.Random(f"{self._seed}/{tier}")

        def arrive() -> None:
            self.send(tier, f"{tier}-{generator.randrange(accounts)}", generator)
            schedule()

        def schedule() -> None:
            now = rate(self.at)
            if now > 0:
                self.after(generator.expovariate(now), arrive)
            else:
                self.after(1.0, schedule)

        schedule()

    def _tick(self) -> None:
        for job in self.room.admit(self._moment(), {(KIND,): self._idle}):
            admitted = transitions.admit(job, EPOCH + self.at).job
            self.room.leave(job, for_good=False)
            self.room.enter(admitted, self._moment(), again=True)
        self._dispatch()
        self.after(TICK_SECONDS, self._tick)

    def _dispatch(self) -> None:
        while self._idle and (job := self.room.pick([KIND], self._moment())):
            self._idle -= 1
            real = round(job.cost_ms * self._work.uniform(*REAL_COST))
            wait = self.at - (job.created_at - EPOCH)
            self.started.append(Started(job, self.at, wait, self._told.pop(job.job_id, None), real))
            self.after(real / 1000, lambda job=job, real=real: self._done(job, real))  # type: ignore[misc]  # each its own
        self.room.observe(self.at, [KIND])

    def _done(self, job: Job, real_ms: int) -> None:
        assert job.state is JobState.QUEUED
        self._idle += 1
        self.room.release(job, real_ms)
        self.when_done(job)
        self._dispatch()

    def _moment(self) -> Moment:
        return Moment(EPOCH + self.at, self.at)
