"""The states of all limits, by limit and key. One that is whole again is forgotten; one that is in force never is."""

from collections import deque

from mezzotint.ratelimit.limit import Limit, Moment, State
from mezzotint.runtime.errors import ServerOverloaded

BUCKETS_MAX = 4_000_000
OVERLOAD_RETRY_SECONDS = 1.0


class Buckets:
    """A state a limit and key. The key is the account, or empty where a limit is shared."""

    def __init__(self, buckets_max: int = BUCKETS_MAX) -> None:
        self._max = buckets_max
        self._states: dict[str, dict[str, State]] = {}
        # Every bucket once, in the order in which they are looked at to be forgotten.
        self._turns: deque[tuple[str, str]] = deque()
        self._limits: dict[str, Limit] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def get(self, limit: Limit, account_id: str) -> State:
        """The state; None when nothing is charged."""
        states = self._states.get(limit.name)
        return states.get("" if limit.shared else account_id) if states else None

    def put(self, limit: Limit, account_id: str, state: State) -> None:
        """Remember a state."""
        key = "" if limit.shared else account_id
        states = self._states.setdefault(limit.name, {})
        if key not in states:
            self._turns.append((limit.name, key))
            self._limits[limit.name] = limit
        states[key] = state

    def require_room(self, count: int) -> None:
        """Raise ServerOverloaded unless `count` more buckets may be kept."""
        if len(self._turns) + count > self._max:
            raise ServerOverloaded(
                f"the limits of {len(self._turns)} accounts and more are in force, the most is {self._max}; try again later",
                retry_after=OVERLOAD_RETRY_SECONDS,
            )

    def forget(self, at: Moment, count: int) -> None:
        """Look at the next `count` buckets and drop those that are whole."""
        for _ in range(min(count, len(self._turns))):
            name, key = turn = self._turns.popleft()
            states = self._states[name]
            if self._limits[name].whole(states[key], at):
                del states[key]
            else:
                self._turns.append(turn)

    def states(self, limit: Limit) -> dict[str, State]:
        """A copy of a limit's states, by key."""
        return dict(self._states.get(limit.name, {}))
