"""What a limit is: a rule without memory. Its state lives in the ledger and goes in and out as a value."""

from typing import Any, NamedTuple, Protocol

# What a limit remembers of one key: opaque to everybody but the limit that made it; None: nothing was charged yet.
State = Any
NANOSECONDS = 1_000_000_000


class Moment(NamedTuple):
    """One reading of both clocks, whole nanoseconds; neither ever goes back."""

    steady_ns: int
    """Since any moment, for how long something takes."""
    wall_ns: int
    """Since the epoch in UTC, for calendar windows and for what is shown."""


class Subject(NamedTuple):
    """Whom the limits are those of."""

    account_id: str
    tier: str


class Limit(Protocol):
    """One limit. Every method is a pure function; amounts are whole and positive, durations whole nanoseconds."""

    @property
    def name(self) -> str:
        """As named in the limits file; no two limits share one."""
        ...

    @property
    def dimension(self) -> str:
        """What it counts."""
        ...

    @property
    def shared(self) -> bool:
        """Counted over all callers it applies to, instead of over each account."""
        ...

    @property
    def lasting(self) -> bool:
        """Its states outlive the process."""
        ...

    @property
    def capacity(self) -> int:
        """The most that passes at once when nothing is charged."""
        ...

    def peek(self, state: State, at: Moment) -> tuple[int, int]:
        """What remains, and how long until all of it does."""
        ...

    def wait_ns(self, state: State, amount: int, at: Moment) -> int | None:
        """How long until `amount` passes: 0 now, None never."""
        ...

    def charge(self, state: State, amount: int, at: Moment) -> State:
        """The state with `amount` charged, whether it passes or not."""
        ...

    def refund(self, state: State, amount: int, charged: State, at: Moment) -> State:
        """The state with `amount` given back of a charge that left the state `charged` behind.

        What time has given back since is not given again.
        """
        ...

    def whole(self, state: State, at: Moment) -> bool:
        """Whether the state has no effect any more and can be forgotten."""
        ...


class Status(NamedTuple):
    """Where one limit stands. `retry_after_ns`: until the charge in question passes; None: never."""

    limit: Limit
    remaining: int
    reset_after_ns: int
    retry_after_ns: int | None


class Decision(NamedTuple):
    """What was decided over all limits of a caller, which `statuses` lists in the order of the limits file."""

    allowed: bool
    statuses: tuple[Status, ...]
    retry_after_ns: int | None
