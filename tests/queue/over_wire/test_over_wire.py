"""Whatever is done with a queue, in any order, over the wire and with restarts between: it answers as the model does."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.queue.over_wire.machine import WireMachine


def check(examples: int, steps: int) -> None:
    """Run so many sequences of so many steps at most."""
    checks = settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(WireMachine, settings=checks)


@pytest.mark.timeout(600)  # to make a failure small takes longer than to find it
def test_the_queue_answers_as_its_model() -> None:
    """Ensures that jobs, events, leases, pages, watches, pauses and redrives are as they must be, over restarts too."""
    check(examples=20, steps=50)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_queue_answers_as_its_model_for_long() -> None:
    """Ensures the same over many longer sequences."""
    check(examples=500, steps=100)
