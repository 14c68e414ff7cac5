"""How many jobs may wait, in all and of one account."""

from mezzotint.queue.job import Job, JobState
from mezzotint.runtime.errors import MezzotintError, ServerOverloaded

RETRY_SECONDS = 10.0


class Capacity:
    """Counts the jobs that wait; one that is being accepted counts already."""

    def __init__(self, waiting_max: int, account_waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._account_waiting_max = account_waiting_max
        self._accounts: dict[str, int] = {}
        self._total = 0

    def add(self, job: Job) -> None:
        """A job waits, if that is its state."""
        self._count(job, 1)

    def remove(self, job: Job) -> None:
        """A job that was added is no longer in this state."""
        self._count(job, -1)

    def refusal(self, account_id: str) -> MezzotintError | None:
        """The error for one more job of the account, if there is no room for it."""
        if self._total >= self._waiting_max:
            text = f"{self._waiting_max:,} jobs wait, which is the most; try again later"
        elif self._accounts.get(account_id, 0) >= self._account_waiting_max:
            text = f"{self._account_waiting_max:,} jobs of this account wait, which is the most; wait for some to finish"
        else:
            return None
        return ServerOverloaded(text, retry_after=RETRY_SECONDS)

    def _count(self, job: Job, by: int) -> None:
        if job.state > JobState.DEFERRED:
            return
        self._total += by
        if left := self._accounts.get(job.account_id, 0) + by:
            self._accounts[job.account_id] = left
        else:
            del self._accounts[job.account_id]
