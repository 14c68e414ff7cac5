"""Denoising diffusion implicit models without fresh noise (Song et al. 2020, arXiv 2010.02502, equation 12).

The levels are those of `DDIMScheduler` in diffusers.
"""

import numpy as np

from mezzotint.inference.sampling import spacing
from mezzotint.inference.sampling.plan import Plan
from mezzotint.inference.sampling.prediction import data_weights, noise_weights
from mezzotint.inference.sampling.scheduler_config import SchedulerConfig
from mezzotint.inference.sampling.training_noise import alpha_bars


def ddim(config: SchedulerConfig, steps: int) -> Plan:
    """To the data and back along the same noise to the level one stride below."""
    trained, bars = config.num_train_timesteps, alpha_bars(config)
    timesteps = np.round(spacing.spaced(config.timestep_spacing or "leading", trained, steps, config.steps_offset))
    now = timesteps.astype(np.int64)
    # As in diffusers a stride is a whole number whatever the spacing.
    following = now - trained // steps
    bar, last = bars[now], 1.0 if config.set_alpha_to_one else bars[0]
    bar_after = np.where(following >= 0, bars[np.maximum(following, 0)], last)
    signal, spread = np.sqrt(bar), np.sqrt(1 - bar)
    data_sample, data_output = data_weights(config.prediction_type, signal, spread)
    noise_sample, noise_output = noise_weights(config.prediction_type, signal, spread)
    spread_after = np.sqrt(1 - bar_after)
    return Plan(
        timesteps,
        data_sample=data_sample,
        data_output=data_output,
        clip=config.data_bound,
        sample=spread_after * noise_sample,
        output=spread_after * noise_output,
        data=np.sqrt(bar_after),
        signal=signal,
        spread=spread,
    )
