"""Pictures that begin from another one, step by step against diffusers, and beside pictures that begin from noise."""

from typing import Any

import numpy as np
import pytest

from mezzotint.inference.sampling.noise import noise
from mezzotint.inference.sampling.original import Original
from mezzotint.inference.sampling.plan import COLUMN, Floats
from mezzotint.inference.sampling.sampler import Sampler, left_out, plan_of, samplers_of
from mezzotint.inference.sampling.scheduler_config import SchedulerConfig
from mezzotint.inference.sampling.trajectories import Trajectories
from tests.inference.sampling.configs import STABLE, config_of

SHAPE, STEPS, TOKENS = (4, 6, 6), 20, 1024
EULER, ANCESTRAL, DPM = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler"
DDIM, LCM, FLOW = "DDIMScheduler", "LCMScheduler", "FlowMatchEulerDiscreteScheduler"
CASES: list[tuple[str, Sampler, dict[str, Any]]] = [
    (EULER, Sampler.EULER, STABLE),
    (EULER, Sampler.EULER, STABLE | {"use_karras_sigmas": True}),
    (EULER, Sampler.EULER, STABLE | {"timestep_spacing": "trailing", "prediction_type": "v_prediction"}),
    (ANCESTRAL, Sampler.EULER_ANCESTRAL, STABLE),
    (DPM, Sampler.DPMPP_2M, STABLE),
    (DPM, Sampler.DPMPP_2M, STABLE | {"use_karras_sigmas": True}),
    (DPM, Sampler.DPMPP_2M, {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}),
    (DDIM, Sampler.DDIM, STABLE | {"clip_sample": False}),
    (LCM, Sampler.LCM, STABLE),
    (FLOW, Sampler.FLOW_MATCH_EULER, {"shift": 3.0}),
]
ALL = [
    (config_of(name, **options), sampler) for name, _, options in CASES for sampler in samplers_of(config_of(name, **options))
]
# As in the comparison of whole pictures.
TOLERANCE = 1e-4


def original_of(seed: int, *, masked: bool = False) -> Original:
    redrawn = (noise(seed, (1, *SHAPE[1:]), 9) > 0).astype(np.float32) if masked else None
    return Original(noise(seed, SHAPE, 8), redrawn)


def output_for(sample: Floats, step: int) -> Floats:
    """What a model might predict: anything that depends on the sample and the step."""
    predicted: Floats = (0.3 * sample + 0.2 * noise(100 + step, SHAPE)).astype(np.float32)
    return predicted


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("strength", [0.1, 0.35, 0.6, 0.95])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{len(case[2])}")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_it_begins_and_goes_on_as_in_diffusers(
    case: tuple[str, Sampler, dict[str, Any]], strength: float, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ensures the start of the image-to-image pipelines and the blend of the inpainting ones, in all samples of all steps."""
    diffusers = pytest.importorskip("diffusers", reason="the comparison needs diffusers; install mezzotint[export]")
    pytest.importorskip("transformers", reason="the pipelines of diffusers need transformers")
    import torch

    name, sampler, options = case
    config, steps = config_of(name, **options), 8 if sampler == Sampler.LCM else STEPS
    theirs = getattr(diffusers, name).from_config(options)
    theirs.set_timesteps(steps)
    pipeline = diffusers.StableDiffusion3Img2ImgPipeline if config.is_flow else diffusers.StableDiffusionImg2ImgPipeline
    part = type("Part", (), {"scheduler": theirs})()
    timesteps, _ = pipeline.get_timesteps(part, steps, strength, "cpu")
    if not len(timesteps):
        pytest.skip("diffusers makes no step at all, we make one")
    original, begin = original_of(3, masked=masked), noise(5, SHAPE)
    first = left_out(config, steps, strength)
    assert steps - first == len(timesteps)
    ours = Trajectories(1, SHAPE, STEPS)
    ours.join(0, begin, plan_of(config, sampler, steps, TOKENS, first), 5, original)

    def tensor(values: Floats) -> Any:
        return torch.from_numpy(values)[None]

    draws = iter(range(1, 100))
    fresh = lambda *_, **__: tensor(noise(5, SHAPE, next(draws)))  # noqa: E731  # three modules want it
    module = __import__(type(theirs).__module__, fromlist=["randn_tensor"])
    if hasattr(module, "randn_tensor"):
        monkeypatch.setattr(module, "randn_tensor", fresh)
    noised = theirs.add_noise if name != FLOW else lambda kept, drawn, at: theirs.scale_noise(kept, at, drawn)
    sample = noised(tensor(original.latents), tensor(begin), timesteps[:1])
    for step, timestep in enumerate(timesteps):
        asked, told = ours.inputs([0])
        expected = theirs.scale_model_input(sample, timestep) if hasattr(theirs, "scale_model_input") else sample
        close(asked[0], expected[0].numpy())
        output = output_for(asked[0], step)
        ours.advance([0], output[None])
        sample = theirs.step(tensor(output), timestep, sample, return_dict=False)[0]
        if masked:
            kept = tensor(original.latents)
            if step + 1 < len(timesteps):
                kept = noised(kept, tensor(begin), timesteps[step + 1 : step + 2])
            redrawn = tensor(original.redrawn)  # type: ignore[arg-type]  # it is masked
            sample = (1 - redrawn) * kept + redrawn * sample
        close(ours.latents(0), sample[0].numpy())
    assert told[0] == pytest.approx(float(timesteps[-1]), abs=1.0)


def close(ours: Floats, theirs: Floats) -> None:
    assert np.abs(ours - theirs).max() <= TOLERANCE * max(1.0, np.abs(theirs).max())


@pytest.mark.parametrize(("config", "sampler"), ALL)
@pytest.mark.parametrize("first", [0, 1, 7, STEPS - 1])
def test_a_perfect_model_gives_the_picture_back(config: SchedulerConfig, sampler: Sampler, first: int) -> None:
    """Ensures for every method that a model which always points at the original ends there, from whatever step it begins."""
    original, begin = original_of(1), noise(2, SHAPE)
    plan, state = plan_of(config, sampler, STEPS, TOKENS, first), Trajectories(1, SHAPE, STEPS)
    assert plan.steps == STEPS - first
    state.join(0, begin, plan, 2, original)
    for _ in range(plan.steps):
        row = plan.table[state.take_out(0).done]
        weights = dict(zip(COLUMN, row, strict=True))
        sample = state.latents(0)
        output = (original.latents - weights["data_sample"] * sample) / weights["data_output"]
        state.advance([0], output[None].astype(np.float32))
    if sampler != Sampler.LCM and config.final_sigmas_type == "zero" and config.set_alpha_to_one:
        np.testing.assert_allclose(state.latents(0), original.latents, atol=2e-2)


@pytest.mark.parametrize(("config", "sampler"), ALL)
def test_rows_with_and_without_an_original_share_calls(config: SchedulerConfig, sampler: Sampler) -> None:
    """Ensures that no bit of a picture depends on its neighbours or on being put aside, and that what is kept is kept so."""
    steps = 8
    rows = [(None, 0), (original_of(1), 3), (original_of(2, masked=True), 2), (original_of(3, masked=True), 0)]
    plans = [plan_of(config, sampler, steps, TOKENS, first) for _, first in rows]
    together, alone = Trajectories(5, SHAPE, steps), [Trajectories(1, SHAPE, steps) for _ in rows]
    for slot, ((original, _), plan) in enumerate(zip(rows, plans, strict=True)):
        together.join(slot, noise(slot, SHAPE), plan, slot, original)
        alone[slot].join(0, noise(slot, SHAPE), plan, slot, original)
    slots = list(range(len(rows)))
    for step in range(steps):
        if step == 2:
            aside = together.take_out(3)
            together.join(3, noise(9, SHAPE), plans[1], 9, original_of(9, masked=True))
            together.put_back(4, plans[3], 3, aside)
            slots[3] = 4
        live = [row for row in range(len(rows)) if step < plans[row].steps]
        outputs = {row: output_for(alone[row].latents(0), step) for row in live}
        together.advance([slots[row] for row in live], np.stack([outputs[row] for row in live]))
        for row in live:
            alone[row].advance([0], outputs[row][None])
    for row, (original, _) in enumerate(rows):
        ended = together.latents(slots[row])
        np.testing.assert_array_equal(ended, alone[row].latents(0))
        if original is not None and original.redrawn is not None:
            where = np.broadcast_to(original.redrawn == 0, SHAPE)
            np.testing.assert_array_equal(ended[where], original.latents[where])


@pytest.mark.parametrize(("strength", "made"), [(0.001, 1), (0.1, 2), (0.29, 5), (0.6, 12), (0.7, 14), (0.999, 19), (1.0, 20)])
def test_strength_is_a_part_of_the_steps(strength: float, made: int) -> None:
    """Ensures the number of steps, also for strengths that 32 bits cannot hold exactly."""
    diffusion, flow = config_of(DDIM, **STABLE), config_of(FLOW)
    single = float(np.float32(strength))
    assert STEPS - left_out(diffusion, STEPS, single) == made
    assert STEPS - left_out(flow, STEPS, single) in {made, made + 1}
