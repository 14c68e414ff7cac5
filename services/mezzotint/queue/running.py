"""How many jobs each account has under way, of whatever kind and tier. Pure."""

from collections.abc import Callable

# Looks again, at a moment, at where an account stands in a line that limits how many jobs of it are under way.
Look = Callable[[str, float], None]


class Running:
    """Counts, and tells the lines with a limit when an account has come to it, and when it may have more again."""

    def __init__(self) -> None:
        self._jobs: dict[str, int] = {}
        self._lines: dict[int, list[Look]] = {}

    def of(self, account_id: str) -> int:
        """The jobs that an account has under way."""
        return self._jobs.get(account_id, 0)

    def add(self, account_id: str) -> None:
        """One more is under way."""
        jobs = self._jobs[account_id] = self._jobs.get(account_id, 0) + 1
        for look in self._lines.get(jobs, ()):
            look(account_id, 0.0)

    def remove(self, account_id: str, at: float = 0.0) -> None:
        """One that was added is under way no longer, from `at` on."""
        jobs = self._jobs.get(account_id, 0)
        assert jobs > 0, f"no job of {account_id} was under way"
        if jobs == 1:
            del self._jobs[account_id]
        else:
            self._jobs[account_id] = jobs - 1
        for look in self._lines.get(jobs, ()):
            look(account_id, at)

    def follow(self, limit: int | None, look: Look) -> None:
        """A line is told of accounts at `limit`, and of those no longer at it; None: it has no limit."""
        if limit is not None:
            self._lines.setdefault(limit, []).append(look)

    def unfollow(self, limit: int | None, look: Look) -> None:
        """A line that followed this limit does no longer."""
        if limit is not None:
            self._lines[limit].remove(look)


class Limit:
    """How many jobs of an account may be under way while a line starts more of them; None: as many as there are workers."""

    def __init__(self, running: Running, most: int | None, look: Look) -> None:
        self._running = running
        self._look = look
        self.most = most
        running.follow(most, look)

    def reached(self, account_id: str, more: int = 0) -> bool:
        """With so many more the account has as many under way as it may have."""
        return self.most is not None and self._running.of(account_id) + more >= self.most

    def change(self, most: int | None) -> None:
        """Another limit holds from now on; who has reached it is not told."""
        self._running.unfollow(self.most, self._look)
        self.most = most
        self._running.follow(most, self._look)
