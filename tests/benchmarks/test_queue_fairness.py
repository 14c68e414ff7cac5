"""What the queue promises of fairness, as its benchmark measures it: in virtual time, so the figures are always the same."""

import pytest

from benchmarks.queue_fairness import scenarios


def test_a_whale_gets_no_more_than_the_others() -> None:
    """Ensures that Jain's index of one account with thousands of jobs and 999 with two is 0.99 at least."""
    assert scenarios.jain() >= 0.99


def test_the_free_tier_gets_its_floor_under_tenfold_overload() -> None:
    """Ensures that its part of the work is within 1 % of its minimum share."""
    assert scenarios.free_floor_error() <= 0.01


def test_paid_waits_stay_flat_while_free_users_flood_the_queue() -> None:
    """Ensures that the paid tiers' p95 wait is within 1.2 times the one without free users."""
    assert scenarios.paid_p95_over_unloaded() <= 1.2


def test_nine_in_ten_start_when_they_were_told() -> None:
    """Ensures that 85 to 95 % of starts come within the ninetieth percentile told on arrival."""
    assert scenarios.eta_in_p90_band() == pytest.approx(0.9, abs=0.05)
