"""The port to what decides which pictures share the next call of the denoiser. Pure: no clock, no I/O, no threads.

Pictures of one shape (a model and a latent size) can share a call. There are three ways to decide, one a module:
step_scheduler (pictures join and leave at every step), request_scheduler (those of equal steps begin together and leave
together) and serial_scheduler (one picture at a time).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Ticket:
    """One picture to be drawn: `rows` of each call for `steps` calls; a lower `priority` goes first.

    `cap` is how many rows a call of its shape may have, the same for all tickets of the shape; 0: as many as any call.
    """

    number: int
    shape: str
    rows: int
    steps: int
    priority: int = 0
    cap: int = 0


@dataclass(frozen=True)
class Seat:
    """A ticket in a slot, with the steps done before this call."""

    slot: int
    ticket: Ticket
    done: int


@dataclass(frozen=True)
class Batch:
    """One call of the denoiser: everybody in it, and what to do before it, first with `aside`, then with `joined`.

    `joined` are those of them that are new in their slot: they begin, or go on if they were aside. `aside` left their slots for
    others and come back later. `withheld` rows of the call stay empty although pictures wait that would fill them.
    """

    shape: str
    seats: tuple[Seat, ...]
    joined: tuple[Seat, ...]
    aside: tuple[Seat, ...] = ()
    withheld: int = 0


class Scheduler(Protocol):
    """`add` tickets, then again and again `schedule`, run the batch, `update`. One batch is out at a time.

    Every ticket that is not cancelled and does not fail makes all its steps, exactly once; no call has more rows than the cap.
    Shapes get equal time of the device while they have work.
    """

    def add(self, tickets: Sequence[Ticket]) -> None:
        """Let tickets wait for slots: all of them or, with ServerOverloaded, none."""
        ...

    def expect(self, count: int, coming: int = 0) -> None:
        """Raise ServerOverloaded unless `count` more tickets may wait, besides `coming` ones that are sure to be added."""
        ...

    def cancel(self, number: int) -> bool:
        """Drop a ticket: at once, or when the batch that is out comes back. False when it is not here (any more)."""
        ...

    def schedule(self) -> Batch | None:
        """The next call; None when there is nothing to do."""
        ...

    def update(self, failed: Collection[int] = (), seconds: float = 0.0) -> list[Ticket]:
        """Take the batch that is out back: free the slots of those that are done, cancelled or `failed` (ticket numbers).

        The call took `seconds` of the device. Returns the tickets that made their last step.
        """
        ...

    @property
    def waiting(self) -> int:
        """Tickets that wait for their first slot."""
        ...

    @property
    def running(self) -> int:
        """Slots in use."""
        ...

    @property
    def aside(self) -> int:
        """Tickets that left their slot for others and will come back."""
        ...
