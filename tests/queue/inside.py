"""The inside of a queue, without a server."""

from mezzotint.queue.background import Background
from mezzotint.queue.backoff import Backoff
from mezzotint.queue.capacity import Capacity
from mezzotint.queue.dispatcher import Dispatcher
from mezzotint.queue.engine import Engine
from mezzotint.queue.intake import Intake
from mezzotint.queue.job import Job
from mezzotint.queue.lease_endings import LeaseEndings
from mezzotint.queue.lease_keeper import LeaseKeeper
from mezzotint.queue.leases import LeaseTable
from mezzotint.queue.ledger import Decide, Ledger
from mezzotint.queue.memory_engine import MemoryEngine
from mezzotint.queue.open_jobs import OpenJobs
from mezzotint.queue.roster import Roster
from mezzotint.queue.tiers import Policy, Tier
from mezzotint.queue.waiting_room import WaitingRoom
from mezzotint.queue.watching import WatchHub
from mezzotint.queue.work_stream import Floor
from mezzotint.runtime.errors import MezzotintError
from tests.support.clock import ManualClock, counting_ids


def floor(clock: ManualClock, background: Background, engine: Engine | None = None) -> Floor:
    """All parts that a stream acts on, over an engine in memory."""
    engine, roster, leases = engine or MemoryEngine(), Roster(), LeaseTable(10, 10)
    jobs = OpenJobs(Capacity(100, 100))
    intake, ledger = Intake(engine, jobs, clock, counting_ids(), ["free"]), Ledger(engine, jobs)
    endings = LeaseEndings(ledger, leases, clock, background)
    keeper = LeaseKeeper(leases, roster, endings, clock)
    dispatcher = Dispatcher(ledger, WaitingRoom(Policy([Tier("free")])), leases, roster, endings, clock, background)
    hub = WatchHub(ledger, engine, clock, dispatcher.place, 1.0)
    jobs.listeners += [keeper.observe, dispatcher.observe, hub.observe]
    return Floor(intake, ledger, keeper, endings, dispatcher, hub, background, clock, Backoff(1, 60, lambda: 0.0), 2.0)


async def start(ledger: Ledger, job_id: str, decide: Decide) -> tuple[Job, bytes]:
    """Change one job to RUNNING. Raises the error that it is refused with."""
    (outcome,) = await ledger.start_all([job_id], decide)
    if isinstance(outcome, MezzotintError):
        raise outcome
    return outcome
