"""Requests filled in and held to the model's limits, and lists in pages."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.api.inference.v1.generation_pb2 import (
    IMAGE_FORMAT_JPEG,
    SCHEDULER_DDIM,
    SCHEDULER_DPMPP_2M,
    SCHEDULER_EULER,
    SCHEDULER_FLOW_MATCH_EULER,
    SCHEDULER_LCM,
    GenerationSpec,
    Scheduler,
)
from mezzotint.inference.models import listing
from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.pictures.request import preview_steps, resolve, sampler_of, scheduler_of
from mezzotint.inference.sampling.sampler import Sampler
from mezzotint.runtime.errors import FieldInvalid, PageTokenInvalid, SizeUnsupported
from tests.inference.sampling.configs import EPSILON, FLOW

CARD = ModelCard(
    name="tiny",
    version="1",
    channels=4,
    latent_size=32,
    image_size=256,
    scale=8,
    max_tokens=24,
    steps_default=8,
    steps_max=50,
    guidance_default=3.0,
    scheduler=FLOW,
)


def test_what_is_asked_is_kept() -> None:
    """Nothing that a request says is replaced by a default, not even a seed of 0 or a guidance of 1."""
    asked = GenerationSpec(prompt="x", width=256, height=256, images=3, steps=50, guidance=1.0, seed=0, opaque=True, previews=2)
    resolved = resolve(asked, CARD)
    assert (resolved.images, resolved.steps, resolved.guidance, resolved.seed) == (3, 50, 1.0, 0)
    assert (resolved.opaque, resolved.previews) == (True, 2)


def test_jpeg_is_opaque() -> None:
    """JPEG has no transparency, and the resolved request says so."""
    assert resolve(GenerationSpec(prompt="x", format=IMAGE_FORMAT_JPEG), CARD).opaque


def test_limits_of_the_model() -> None:
    """A size or a number of steps beyond the model's is refused, and the error says what it takes."""
    with pytest.raises(SizeUnsupported) as size:
        resolve(GenerationSpec(prompt="x", width=256, height=128), CARD)
    assert size.value.metadata == {"sizes": "256x256"}
    with pytest.raises(FieldInvalid, match="50 steps at most with flow_match_euler, not 51"):
        resolve(GenerationSpec(prompt="x", steps=51), CARD)


def test_a_scheduler_must_fit_the_model() -> None:
    """Without one the model's own is filled in; one for another kind of prediction is refused, naming those that fit."""
    assert resolve(GenerationSpec(prompt="x"), CARD).scheduler == SCHEDULER_FLOW_MATCH_EULER
    assert resolve(GenerationSpec(prompt="x", scheduler=SCHEDULER_DPMPP_2M), CARD).scheduler == SCHEDULER_DPMPP_2M
    with pytest.raises(FieldInvalid, match=r"euler does not fit tiny .*; it takes flow_match_euler, dpmpp_2m, lcm") as refused:
        resolve(GenerationSpec(prompt="x", scheduler=SCHEDULER_EULER), CARD)
    assert [violation.field for violation in refused.value.violations] == ["spec.scheduler"]
    diffusion = CARD.model_copy(update={"scheduler": EPSILON})
    assert resolve(GenerationSpec(prompt="x"), diffusion).scheduler == SCHEDULER_DDIM
    with pytest.raises(FieldInvalid, match="it takes ddim, euler, euler_ancestral, dpmpp_2m, lcm"):
        resolve(GenerationSpec(prompt="x", scheduler=SCHEDULER_FLOW_MATCH_EULER), diffusion)


def test_a_scheduler_for_few_steps_takes_few() -> None:
    """Steps beyond what LCM can make are refused, and a default beyond that is cut to it."""
    card = CARD.model_copy(update={"scheduler": EPSILON, "steps_default": 80, "steps_max": 100})
    assert resolve(GenerationSpec(prompt="x", scheduler=SCHEDULER_LCM), card).steps == 50
    assert resolve(GenerationSpec(prompt="x"), card).steps == 80
    with pytest.raises(FieldInvalid, match="50 steps at most with lcm, not 51"):
        resolve(GenerationSpec(prompt="x", scheduler=SCHEDULER_LCM, steps=51), card)


def test_the_contract_and_the_engine_name_the_same_schedulers() -> None:
    """Every value of the contract but the unspecified one is a method, and the other way round."""
    assert {sampler_of(value) for value in Scheduler.values() if value} == set(Sampler)
    assert {scheduler_of(sampler) for sampler in Sampler} == set(Scheduler.values()) - {0}


@given(st.integers(1, 100), st.integers(0, 10))
def test_previews_are_evenly_spread(steps: int, previews: int) -> None:
    """There are as many previews as asked unless steps are few, never of the finished picture, and gaps hardly differ."""
    due = sorted(preview_steps(steps, previews))
    assert all(0 < step < steps for step in due)
    if previews < steps:
        assert len(due) == previews
        gaps = [b - a for a, b in zip([0, *due], [*due, steps], strict=True)]
        assert max(gaps) - min(gaps) <= 2


@given(st.sets(st.text("abc", min_size=1, max_size=4)), st.integers(1, 5))
def test_pages_give_everything_once(found: set[str], size: int) -> None:
    """Following the tokens gives every name once, in order."""
    names, seen, token = sorted(found), [], ""
    while True:
        page, token = listing.page(names, size, token)
        seen += page
        if not token:
            break
    assert seen == names


@pytest.mark.parametrize("token", ["%", "ab", base64.urlsafe_b64encode(b"\xff\xfe").decode(), "===="])
def test_malformed_page_token(token: str) -> None:
    """A token that no page gave is refused."""
    with pytest.raises(PageTokenInvalid):
        listing.page(["a"], 1, token)
