"""The peak controller: when jobs are deferred, and how it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.queue.peak import (
    CALM_DEFERRING_SECONDS,
    CALM_SECONDS,
    DEFER_AFTER_SECONDS,
    WINDOW_SECONDS,
    PeakController,
    PeakMode,
    WaitWindow,
)

OBJECTIVE = 5.0


def run(controller: PeakController, start: int, seconds: int, wait: float | None) -> list[PeakMode]:
    """The modes of some seconds with two starts in each, after `wait`; None: nothing starts and nothing waits."""
    modes = []
    for second in range(start, start + seconds):
        for _ in range(2 if wait is not None else 0):
            controller.observe(second, wait or 0.0)
        modes.append(controller.update(second, waiting=wait is not None))
    return modes


def test_a_peak_goes_through_pressure_to_deferring() -> None:
    """Ensures that waits above the objective press at once, and defer only when they stay."""
    controller = PeakController(OBJECTIVE)
    modes = run(controller, 0, 30, OBJECTIVE * 1.2)
    pressed = modes.index(PeakMode.PRESSURED)
    assert modes.index(PeakMode.DEFERRING) - pressed == DEFER_AFTER_SECONDS
    assert modes[-1] is PeakMode.DEFERRING


def test_a_wall_of_requests_defers_at_once() -> None:
    """Ensures that waits far above the objective are not watched for long."""
    modes = run(PeakController(OBJECTIVE), 0, 10, OBJECTIVE * 3)
    assert modes.index(PeakMode.DEFERRING) - modes.index(PeakMode.PRESSURED) == 1


def test_the_way_back_is_slow_and_by_steps() -> None:
    """Ensures that a calm minute is seen as such, that it has to last, and that pressure comes before normal."""
    controller = PeakController(OBJECTIVE)
    run(controller, 0, 60, OBJECTIVE * 3)
    modes = run(controller, 60, 240, OBJECTIVE * 0.2)
    pressed, normal = modes.index(PeakMode.PRESSURED), modes.index(PeakMode.NORMAL)
    assert pressed >= CALM_DEFERRING_SECONDS
    assert normal - pressed >= CALM_SECONDS
    assert modes == sorted(modes, reverse=True)


def test_waits_between_calm_and_objective_change_nothing() -> None:
    """Ensures the hysteresis: a wait just below the objective neither begins a peak nor ends one."""
    for begin, mode in ((0.1, PeakMode.NORMAL), (3.0, PeakMode.DEFERRING)):
        controller = PeakController(OBJECTIVE)
        run(controller, 0, 60, OBJECTIVE * begin)
        assert set(run(controller, 60, 600, OBJECTIVE * 0.9)[120:]) == {mode}


def test_no_news_is_good_news_only_when_nobody_waits() -> None:
    """Ensures that a peak goes on while paid jobs wait and none starts, and ends when there are none."""
    controller = PeakController(OBJECTIVE)
    run(controller, 0, 60, OBJECTIVE * 3)
    for second in range(60, 600):
        assert controller.update(second, waiting=True) is PeakMode.DEFERRING
    assert controller.p95 is None
    assert run(controller, 600, 120, None)[-1] is PeakMode.NORMAL


def test_the_ramp_doubles_holds_and_falls_back() -> None:
    """Ensures that release begins at the floor rate, grows in calm, holds under pressure and begins anew with a peak."""
    controller = PeakController(OBJECTIVE)
    run(controller, 0, 60, OBJECTIVE * 3)
    assert controller.pace == 1.0
    modes = run(controller, 60, 200, 0.1)
    calm = len(modes) - modes.index(PeakMode.NORMAL)
    assert controller.pace == pytest.approx(2 ** (calm / 30), rel=0.05)
    held = controller.pace
    assert run(controller, 260, 8, OBJECTIVE * 1.5)[-1] is PeakMode.PRESSURED
    assert controller.pace == pytest.approx(held, rel=0.25)
    run(controller, 268, 60, OBJECTIVE * 3)
    assert controller.pace == 1.0


def test_the_pace_grows_only_in_calm() -> None:
    """Ensures that release gets no faster while paid jobs wait and none starts, as after a restart, or nearly too long."""
    controller = PeakController(OBJECTIVE)
    for second in range(600):
        assert controller.update(second, waiting=True) is PeakMode.NORMAL
    assert set(run(controller, 600, 600, OBJECTIVE * 0.9)) == {PeakMode.NORMAL}
    assert controller.pace == 1.0
    run(controller, 1200, 90, OBJECTIVE * 0.1)
    assert controller.pace > 1.0


def test_without_workers_earlier_waits_say_nothing() -> None:
    """Ensures that neither mode nor pace moves on what was calm, or loud, before the last worker left."""
    for wait in (0.1, OBJECTIVE * 3):
        controller = PeakController(OBJECTIVE)
        run(controller, 0, 5, wait)
        before = controller.mode, controller.pace
        for second in range(5, 60):
            controller.update(second, waiting=False, served=False)
        assert (controller.mode, controller.pace) == before


def test_without_an_objective_nothing_is_deferred() -> None:
    """Ensures that a policy without a peak has none."""
    assert set(run(PeakController(None), 0, 100, 1e6)) == {PeakMode.NORMAL}


@given(st.lists(st.floats(0, 5000), min_size=5, max_size=200))
def test_the_window_gives_the_percentile(waits: list[float]) -> None:
    """Ensures that the histogram is within its resolution of the sorted list, never below it, and forgets after a minute."""
    window = WaitWindow()
    for wait in waits:
        window.add(0, wait)
    exact = sorted(waits)[-(-95 * len(waits) // 100) - 1]
    found = window.p95(1)
    assert found is not None
    assert exact <= found * (1 + 1e-9) + 0.001
    assert found <= max(0.0011, exact * 1.051)
    assert window.p95(WINDOW_SECONDS + 2) is None
