"""The pure parts of a generation: its spec, its cost, how it ends and what it is charged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.api.inference.v1 import generation_pb2, inference_pb2
from mezzotint.api.queue.v1 import job_pb2
from mezzotint.api.ratelimit.v1 import ratelimit_pb2
from mezzotint.gateway import catalogue, events, quota, settlement, spec
from mezzotint.gateway.settings import GatewaySettings
from mezzotint.runtime import errors

Spec = generation_pb2.GenerationSpec
SEED_MAX = 9_007_199_254_740_991


def never(end: int) -> int:
    raise AssertionError("chance must not decide here")


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_a_retry_has_the_same_body(prompt: str, account: str, request_id: str) -> None:
    """Ensures that a request with an id becomes the same bytes each time, and another account's becomes others."""
    first, second = (spec.sealed(Spec(prompt=prompt), account, request_id, never) for _ in range(2))
    assert spec.payload(first) == spec.payload(second)
    assert first.seed + 10 <= SEED_MAX
    body = spec.payload(first)
    assert spec.charge_id(account, request_id, body) != spec.charge_id(account + "x", request_id, body)
    assert spec.charge_id(account, request_id, body) != spec.charge_id(account, request_id, body + b"x")
    assert len(spec.charge_id(account, request_id, body)) <= 64


def test_a_seed_of_the_callers_own_is_kept() -> None:
    """Ensures that seed 0 is a seed, and that without id and seed chance decides within its range."""
    assert spec.sealed(Spec(prompt="a", seed=0), "acc", "", never).seed == 0
    assert spec.sealed(Spec(prompt="a"), "acc", "", lambda end: end - 1).seed == spec.SEED_END - 1


def test_cost_grows_with_pictures_and_steps() -> None:
    """Ensures the estimate that the queue's fairness goes by."""
    settings = GatewaySettings(image_cost_ms=60, step_cost_ms=25, steps_default=20)
    assert spec.cost_ms(Spec(prompt="a", images=1), settings) == 560
    assert spec.cost_ms(Spec(prompt="a", images=3, steps=4), settings) == 480


@pytest.mark.parametrize(
    ("failure", "drawing", "charged"),
    [
        (None, True, 2),
        (errors.Cancelled("x"), True, 2),
        (errors.Cancelled("x"), False, None),
        (errors.JobFailed("x"), True, None),
        (errors.JobExpired("x"), False, None),
        (errors.StorageFull("x"), True, None),
        (errors.SizeUnsupported("x"), True, 0),
    ],
)
def test_what_is_charged(failure: errors.MezzotintError | None, drawing: bool, charged: int | None) -> None:  # a case
    """Ensures that work done for a caller is paid for, our failures are not, and mistakes cost the request."""
    assert settlement.images_charged(settlement.Outcome(failure, drawing=drawing, images=2)) == charged


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("MODEL_NOT_FOUND", errors.ModelNotFound),
        ("SIZE_UNSUPPORTED", errors.SizeUnsupported),
        ("STORAGE_FULL", errors.StorageFull),
        ("INTERNAL", errors.JobFailed),
        ("SERVER_DRAINING", errors.JobFailed),
        ("QUOTA_EXCEEDED", errors.JobFailed),
        ("NO_SUCH_REASON", errors.JobFailed),
        ("", errors.JobFailed),
    ],
)
def test_a_failed_job_raises_the_class_of_its_reason(reason: str, kind: type[errors.MezzotintError]) -> None:
    """Ensures that a caller learns what he can change, and is not sent away for what a worker suffered."""
    event = job_pb2.JobEvent(failed=job_pb2.Failed(failure=job_pb2.Failure(reason=reason, message="why")))
    found = events.failure_of(event, "job_1")
    assert type(found) is kind
    assert found is not None
    assert (found.message, found.metadata["job_id"]) == ("why", "job_1")


def test_every_event_of_a_job_is_told_or_ends_it() -> None:
    """Ensures that an event added to the contract is not dropped in silence."""
    for field in job_pb2.JobEvent.DESCRIPTOR.oneofs_by_name["event"].fields:
        event = job_pb2.JobEvent()
        getattr(event, field.name).SetInParent()
        told = [events.response_of(event) is not None, events.failure_of(event, "job_1") is not None, field.name == "succeeded"]
        assert sum(told) == 1, field.name


def limit(name: str, *, remaining: int = 0, retry_after: int | None = None) -> ratelimit_pb2.LimitStatus:
    status = ratelimit_pb2.LimitStatus(name=name, dimension="images", limit=9, remaining=remaining)
    if retry_after is not None:
        status.retry_after.FromSeconds(retry_after)
    return status


def test_a_denial_names_the_limit_that_lasts_longest() -> None:
    """Ensures that who waits as told is not refused again by another limit, and that never is longer than any time."""
    error = quota.exceeded(
        [limit("day", retry_after=90), limit("minute", retry_after=5), limit("free", remaining=9, retry_after=0)]
    )
    assert (error.metadata["limit"], error.retry_after) == ("day", 90.0)
    assert quota.exceeded([limit("day", retry_after=90), limit("burst")]).retry_after is None


def test_a_late_retrys_reservation_is_told_from_the_first_calls() -> None:
    """Ensures that a retry shortly after the call shares its reservation, and one much later knows that it does not."""
    made = quota.Reservation("res_1", ratelimit_pb2.Subject(), (), made_at=1000.0)
    assert not made.is_later_than(1000.02)
    assert made.is_later_than(1000.0 - 600)


TINY = inference_pb2.Model(name="tiny", loaded=True, sizes=["256x256", "512x256"])


RANGE = inference_pb2.SizeRange(step=16, side_min=64, side_max=256, area_max=128 * 192)
WIDE = inference_pb2.Model(name="wide", loaded=True, sizes=["128x128"], size_range=RANGE)
SIZES = {(0, 0): True, (192, 128): True, (192, 0): True, (80, 256): True, (200, 96): False, (48, 128): False, (272, 64): False}


@pytest.mark.parametrize(("size", "drawn"), SIZES.items())
def test_sizes_of_a_range(size: tuple[int, int], *, drawn: bool) -> None:
    """Ensures that what a model draws besides its listed sizes passes: whole steps, both sides and the area within bounds."""
    assert (catalogue.fault(Spec(width=size[0], height=size[1]), [TINY, WIDE]) is None) == drawn


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (Spec(), None),
        (Spec(model="tiny"), None),
        (Spec(width=512), None),
        (Spec(width=512, height=256), None),
        (Spec(width=512, height=512), errors.SizeUnsupported),
        (Spec(height=512), errors.SizeUnsupported),
        (Spec(model="huge"), errors.ModelNotFound),
    ],
)
def test_what_no_model_draws_is_found(asked: generation_pb2.GenerationSpec, error: type[errors.MezzotintError] | None) -> None:
    """Ensures that a part of a size may be left open, and that a refusal says what there is."""
    found = catalogue.fault(asked, [TINY])
    assert (type(found) if found else None) is error
    assert found is None or set(found.metadata.values()) <= {"tiny", "256x256, 512x256"}
