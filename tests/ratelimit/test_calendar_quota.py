"""Calendar quotas, against the calendar of the standard library."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.ratelimit.calendar_quota import CalendarQuota, Period, Spent, window_end_ns
from mezzotint.ratelimit.limit import NANOSECONDS, Moment

UTC = datetime.UTC
times = st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis wants bounds without a zone and adds it
periods = st.sampled_from(["minute", "hour", "day", "month"])


def at(time: datetime.datetime) -> Moment:
    """A moment whose wall clock shows `time`."""
    return Moment(0, int(time.timestamp() * 1_000_000) * 1000)


def later(moment: Moment, nanoseconds: int) -> Moment:
    """A moment whose wall clock shows so much more."""
    return Moment(0, moment.wall_ns + nanoseconds)


@given(times, periods)
def test_a_window_ends_where_the_next_begins(time: datetime.datetime, period: Period) -> None:
    """Ensures that a window holds its own moment and its end begins the next one of the calendar."""
    end = datetime.datetime.fromtimestamp(window_end_ns(period, at(time).wall_ns) / NANOSECONDS, UTC)
    first = {
        "minute": time.replace(second=0, microsecond=0),
        "hour": time.replace(minute=0, second=0, microsecond=0),
        "day": time.replace(hour=0, minute=0, second=0, microsecond=0),
        "month": time.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
    }[period]
    assert time < end
    assert (end - datetime.timedelta(microseconds=1)).strftime(FORMATS[period]) == first.strftime(FORMATS[period])
    assert end.strftime(FORMATS[period]) != first.strftime(FORMATS[period])


FORMATS: dict[str, str] = {"minute": "%Y-%m-%d %H:%M", "hour": "%Y-%m-%d %H", "day": "%Y-%m-%d", "month": "%Y-%m"}


@pytest.mark.parametrize(
    ("time", "end"),
    [
        ("2028-02-29T23:59:59", "2028-03-01T00:00:00"),
        ("2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("2026-01-01T00:00:00", "2026-02-01T00:00:00"),
    ],
)
def test_months_have_the_length_they_have(time: str, end: str) -> None:
    """Ensures leap days, the turn of the year, and that a month begins with its first moment."""
    moment, expected = (at(datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)) for text in (time, end))
    assert window_end_ns("month", moment.wall_ns) == expected.wall_ns


@given(times, periods, st.integers(1, 50), st.lists(st.tuples(st.integers(0, 4 * 86400), st.integers(1, 60)), max_size=40))
def test_no_window_admits_more_than_its_count(
    time: datetime.datetime, period: Period, count: int, charges: list[tuple[int, int]]
) -> None:
    """Ensures the quota for any charges, and that one that waits as told passes."""
    quota = CalendarQuota("limit", "images", count, period)
    state: Spent | None = None
    admitted: dict[int, int] = {}
    now = at(time)
    for seconds, amount in charges:
        now = later(now, seconds * NANOSECONDS)
        wait = quota.wait_ns(state, amount, now)
        assert (wait is None) == (amount > count)
        if wait == 0:
            state = quota.charge(state, amount, now)
            end = window_end_ns(period, now.wall_ns)
            admitted[end] = admitted.get(end, 0) + amount
            assert quota.peek(state, now) == (count - admitted[end], end - now.wall_ns)
        elif wait:
            assert quota.wait_ns(state, amount, later(now, wait)) == 0
            assert quota.wait_ns(state, amount, later(now, wait - 1)) != 0
    assert all(total <= count for total in admitted.values())


@given(times, periods, st.integers(1, 9), st.integers(1, 9), st.integers(0, 100 * 86400))
def test_a_refund_is_for_its_own_window(time: datetime.datetime, period: Period, early: int, late: int, seconds: int) -> None:
    """Ensures that what was charged in a window that is over makes no other one larger."""
    quota = CalendarQuota("limit", "images", 100, period)
    charged = quota.charge(None, early, at(time))
    now = later(at(time), seconds * NANOSECONDS)
    state = quota.charge(charged, late, now)
    left, _ = quota.peek(quota.refund(state, early, charged, now), now)
    assert left == 100 - late


@given(times, periods, st.integers(-3600, 3600))
def test_a_window_stays_in_force_until_its_end(time: datetime.datetime, period: Period, step: int) -> None:
    """Ensures that a clock that is set back finds the quota used, even by way of the bare limit."""
    quota = CalendarQuota("limit", "images", 5, period)
    state = quota.charge(None, 5, at(time))
    stepped = later(at(time), step * NANOSECONDS)
    over = stepped.wall_ns >= window_end_ns(period, at(time).wall_ns)
    assert quota.whole(state, stepped) == over
    assert (quota.wait_ns(state, 1, stepped) == 0) == over
