"""Who works on what, and until when: leases kept alive by heartbeats in memory. Pure; moments are of the monotonic clock."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct


class LeaseRef(Struct, frozen=True, gc=False):
    """Names a lease: the job and the fencing token, which grows with each lease of the job."""

    job_id: str
    token: int


@dataclass(slots=True)
class Lease:
    """A worker holds a job until `expires_at`. `seen`: the worker has named it in a heartbeat, so it knows of it."""

    ref: LeaseRef
    worker_id: str
    expires_at: float
    seen: bool = False


class LeaseTable:
    """The leases of all workers. A job has one at most."""

    def __init__(self, duration: float, grace: float) -> None:
        self.duration = duration
        self._grace = grace
        self._leases: dict[str, Lease] = {}
        self._workers: dict[str, set[str]] = {}
        self._order: list[tuple[float, str, int]] = []

    def grant(self, ref: LeaseRef, worker_id: str, now: float, *, restored: bool = False) -> None:
        """The worker gets the job for the duration of a lease; `restored`: it had it before a restart, and gets the grace."""
        assert ref.job_id not in self._leases, f"{ref.job_id} is leased already"
        lease = Lease(ref, worker_id, now + (self._grace if restored else self.duration), seen=restored)
        self._leases[ref.job_id] = lease
        self._workers.setdefault(worker_id, set()).add(ref.job_id)
        heapq.heappush(self._order, (lease.expires_at, ref.job_id, ref.token))

    def holds(self, ref: LeaseRef, worker_id: str) -> bool:
        """The worker holds exactly this lease."""
        lease = self._leases.get(ref.job_id)
        return lease is not None and lease.ref == ref and lease.worker_id == worker_id

    def held(self, worker_id: str) -> int:
        """How many leases a worker holds."""
        return len(self._workers.get(worker_id, ()))

    def beat(self, worker_id: str, named: Iterable[LeaseRef], now: float) -> tuple[list[LeaseRef], list[LeaseRef]]:
        """A heartbeat that names `named`: gives the leases lost, known and named no more, and those not the worker's own.

        A lease it has not named yet may still be on its way to it; it keeps its first duration.
        """
        kept, foreign = self._renew(worker_id, named, now)
        lost = [ref for ref in self._refs(worker_id) if ref not in kept and self._leases[ref.job_id].seen]
        return lost, foreign

    def adopt(self, worker_id: str, named: Iterable[LeaseRef], now: float) -> tuple[list[LeaseRef], list[LeaseRef]]:
        """A worker is back and works on `named`: gives the leases it keeps, and those lost, which it does not know."""
        kept, _ = self._renew(worker_id, named, now)
        return sorted(kept, key=lambda ref: ref.job_id), [ref for ref in self._refs(worker_id) if ref not in kept]

    def detach(self, worker_id: str, now: float) -> None:
        """The worker's stream broke: it has the grace to come back."""
        for ref in self._refs(worker_id):
            lease = self._leases[ref.job_id]
            lease.expires_at = now + self._grace
            heapq.heappush(self._order, (lease.expires_at, ref.job_id, ref.token))

    def release(self, ref: LeaseRef) -> bool:
        """The lease is over; False when it was already."""
        lease = self._leases.get(ref.job_id)
        if lease is None or lease.ref != ref:
            return False
        del self._leases[ref.job_id]
        jobs = self._workers[lease.worker_id]
        jobs.discard(ref.job_id)
        if not jobs:
            del self._workers[lease.worker_id]
        return True

    def expired(self, now: float) -> list[Lease]:
        """The leases whose time is over; they are released."""
        over: list[Lease] = []
        while self._order and self._order[0][0] <= now:
            _, job_id, token = heapq.heappop(self._order)
            lease = self._leases.get(job_id)
            if lease is None or lease.ref.token != token:
                continue
            if lease.expires_at > now:
                heapq.heappush(self._order, (lease.expires_at, job_id, token))
            else:
                self.release(lease.ref)
                over.append(lease)
        return over

    def _renew(self, worker_id: str, named: Iterable[LeaseRef], now: float) -> tuple[set[LeaseRef], list[LeaseRef]]:
        kept, foreign = set(), []
        for ref in named:
            if self.holds(ref, worker_id):
                lease = self._leases[ref.job_id]
                lease.expires_at, lease.seen = now + self.duration, True
                kept.add(ref)
            else:
                foreign.append(ref)
        return kept, foreign

    def _refs(self, worker_id: str) -> list[LeaseRef]:
        return [self._leases[job_id].ref for job_id in sorted(self._workers.get(worker_id, ()))]
