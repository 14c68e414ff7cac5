"""A steady rate with bursts: the generic cell rate algorithm in its virtual scheduling form.

Source: ITU-T Recommendation I.371, annex A; also ATM Forum, Traffic Management Specification 4.0. The state is one number, the
theoretical arrival time (TAT): when everything charged so far will have drained. It is kept in whole ticks, `count` of them a
nanosecond, so that one unit costs exactly as many ticks as the interval has nanoseconds, and nothing is ever rounded.
"""

from dataclasses import dataclass

from mezzotint.ratelimit.limit import NANOSECONDS, Moment


@dataclass(frozen=True, slots=True)
class Gcra:
    """`count` an interval of `per_seconds`, evenly, with up to `burst` at once."""

    name: str
    dimension: str
    count: int
    per_seconds: int
    burst: int
    shared: bool = False

    @property
    def lasting(self) -> bool:
        """Not kept over a restart: it would be whole again soon."""
        return False

    @property
    def capacity(self) -> int:
        """The burst."""
        return self.burst

    @property
    def unit(self) -> int:
        """What one unit costs, in ticks."""
        return self.per_seconds * NANOSECONDS

    def level(self, tat: int | None, at: Moment) -> int:
        """What has not drained yet, in ticks."""
        return 0 if tat is None else max(0, tat - at.steady_ns * self.count)

    def peek(self, tat: int | None, at: Moment) -> tuple[int, int]:
        """What passes now, and how long until the whole burst does."""
        level = self.level(tat, at)
        return max(0, (self.burst * self.unit - level) // self.unit), -(-level // self.count)

    def wait_ns(self, tat: int | None, amount: int, at: Moment) -> int | None:
        """How long until `amount` fits under the burst; None: it is larger than the burst."""
        if amount > self.burst:
            return None
        over = self.level(tat, at) + (amount - self.burst) * self.unit
        return max(0, -(-over // self.count))

    def charge(self, tat: int | None, amount: int, at: Moment) -> int:
        """The TAT moved out by what `amount` costs."""
        return at.steady_ns * self.count + self.level(tat, at) + amount * self.unit

    def refund(self, tat: int, amount: int, charged: int, at: Moment) -> int:
        """The TAT moved back by what `amount` cost, less what has drained of it by now: all has at the TAT `charged`."""
        return tat - min(amount * self.unit, self.level(charged, at))

    def whole(self, tat: int, at: Moment) -> bool:
        """Whether all has drained."""
        return self.level(tat, at) == 0
