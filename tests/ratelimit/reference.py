"""A ledger as plain as can be: it keeps every charge for ever and adds them up anew for each question."""

from dataclasses import dataclass, field
from fractions import Fraction

from mezzotint.ratelimit.calendar_quota import CalendarQuota, window_end_ns
from mezzotint.ratelimit.gcra import Gcra
from mezzotint.ratelimit.limit import NANOSECONDS, Limit, Moment
from mezzotint.ratelimit.policy import Policy


@dataclass
class Charged:
    """One charge of one limit: how much of it stands, its calendar window, and when it will have drained, in seconds."""

    limit: Limit
    key: str
    amount: int
    window: int
    drained: Fraction


@dataclass
class Held:
    """One reservation that was made."""

    account: str
    tier: str
    end: int
    charged: list[Charged]
    open: bool = True


@dataclass
class Reference:
    """What the ledger is compared with."""

    policy: Policy
    charges: list[Charged] = field(default_factory=list)
    tats: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)

    def remaining(self, account: str, tier: str, at: Moment) -> list[int]:
        """What is left of each limit, never less than nothing."""
        return [max(0, self._left(limit, key_of(limit, account), at)) for limit in self.policy.tiers[tier]]

    def charge(self, account: str, tier: str, amounts: dict[str, int], at: Moment) -> list[Charged] | None:
        """Charge all or none; None: none."""
        limits = [limit for limit in self.policy.tiers[tier] if limit.dimension in amounts]
        if any(self._left(limit, key_of(limit, account), at) < amounts[limit.dimension] for limit in limits):
            return None
        return [self._charge(limit, account, amounts[limit.dimension], at) for limit in limits]

    def hold(self, identifier: str, account: str, tier: str, end: int, charged: list[Charged]) -> None:
        """Remember a reservation."""
        self.held[identifier] = Held(account, tier, end, charged)

    def expire(self, at: Moment) -> None:
        """Give back what is over."""
        for identifier, held in self.held.items():
            if held.open and held.end <= at.steady_ns:
                self.release(identifier, at)

    def release(self, identifier: str, at: Moment) -> bool:
        """Give one back."""
        held = self.held.get(identifier)
        if held is None or not held.open:
            return False
        held.open = False
        for charged in held.charged:
            self._refund(charged, charged.amount, at)
        return True

    def commit(self, identifier: str, account: str, tier: str, amounts: dict[str, int], at: Moment) -> bool:
        """Settle one; true: late."""
        held = self.held.get(identifier)
        late = held is None or not held.open
        if held and held.open:
            held.open, account, tier = False, held.account, held.tier
        for limit in self.policy.tiers[tier]:
            real = amounts.get(limit.dimension, 0)
            charged = next((each for each in held.charged if each.limit is limit), None) if held and not late else None
            if charged is None or real > charged.amount:
                more = real - (charged.amount if charged else 0)
                if more:
                    self._charge(limit, account, more, at)
            else:
                self._refund(charged, charged.amount - real, at)
        return late

    def _left(self, limit: Limit, key: str, at: Moment) -> int:
        if isinstance(limit, CalendarQuota):
            window = window_end_ns(limit.period, at.wall_ns)
            return limit.count - sum(
                each.amount for each in self.charges if (each.limit, each.key, each.window) == (limit, key, window)
            )
        assert isinstance(limit, Gcra)
        level = max(Fraction(0), self.tats.get((limit.name, key), Fraction(0)) - seconds(at))
        return limit.burst - -(-level * limit.count // limit.per_seconds)

    def _charge(self, limit: Limit, account: str, amount: int, at: Moment) -> Charged:
        key = key_of(limit, account)
        charged = Charged(limit, key, amount, 0, Fraction(0))
        if isinstance(limit, CalendarQuota):
            charged.window = window_end_ns(limit.period, at.wall_ns)
        elif isinstance(limit, Gcra):
            tat = max(seconds(at), self.tats.get((limit.name, key), Fraction(0)))
            charged.drained = self.tats[limit.name, key] = tat + Fraction(amount * limit.per_seconds, limit.count)
        self.charges.append(charged)
        return charged

    def _refund(self, charged: Charged, amount: int, at: Moment) -> None:
        charged.amount -= amount
        assert charged.amount >= 0, "no more is given back than was charged"
        if isinstance(charged.limit, Gcra):
            still = max(Fraction(0), charged.drained - seconds(at))
            back = min(still, Fraction(amount * charged.limit.per_seconds, charged.limit.count))
            self.tats[charged.limit.name, charged.key] -= back


def key_of(limit: Limit, account: str) -> str:
    """Whose charges a limit adds up."""
    return "" if limit.shared else account


def seconds(at: Moment) -> Fraction:
    """The steady clock in seconds."""
    return Fraction(at.steady_ns, NANOSECONDS)
