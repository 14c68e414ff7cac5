"""Which jobs go to which workers now: by their credits first, then urgent ones to those that have others make way for them."""

from mezzotint.queue.job import Job
from mezzotint.queue.kinds import Moment
from mezzotint.queue.leases import LeaseTable
from mezzotint.queue.roster import Roster
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.queue.worker import LEASES_MAX, Worker

Assignment = dict[Worker, list[Job]]


def by_credits(room: WaitingRoom, roster: Roster, leases: LeaseTable, moment: Moment) -> Assignment:
    """Jobs for free slots, the next one to whom has most."""
    assigned: Assignment = {}
    free = [worker for worker in roster.all() if worker.credits and has_room(worker, leases)]
    while free:
        worker = max(free, key=lambda each: each.credits)
        job = room.pick(worker.kinds, moment)
        if job is None:
            free.remove(worker)
            continue
        worker.credits -= 1
        worker.starting += 1
        assigned.setdefault(worker, []).append(job)
        if not (worker.credits and has_room(worker, leases)):
            free.remove(worker)
    return assigned


def by_urgency(room: WaitingRoom, roster: Roster, leases: LeaseTable, moment: Moment) -> Assignment:
    """Jobs that no slot is free for, of the tiers that a worker names."""
    assigned: Assignment = {}
    for worker in roster.all():
        while worker.urgent and has_room(worker, leases) and (job := room.pick(worker.kinds, moment, worker.urgent_tiers)):
            worker.urgent -= 1
            worker.starting += 1
            assigned.setdefault(worker, []).append(job)
    return assigned


def has_room(worker: Worker, leases: LeaseTable) -> bool:
    """The worker can be given a job if it wants one."""
    holds = leases.held(worker.worker_id) + worker.starting
    return holds < LEASES_MAX and worker.takes_jobs
