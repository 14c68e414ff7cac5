"""Latent consistency models: to the data at once, back up with fresh noise (Luo et al. 2023, arXiv 2310.04378).

The levels are those of `LCMScheduler` in diffusers.
"""

import numpy as np

from mezzotint.inference.sampling.plan import Plan
from mezzotint.inference.sampling.prediction import data_weights
from mezzotint.inference.sampling.scheduler_config import SchedulerConfig
from mezzotint.inference.sampling.training_noise import alpha_bars

# The standard deviation of data that the boundary condition supposes.
SIGMA_DATA = 0.5


def lcm(config: SchedulerConfig, steps: int) -> Plan:
    """Few steps over the timesteps that the model was distilled on."""
    distilled, bars = config.original_inference_steps, alpha_bars(config)
    stride = config.num_train_timesteps // distilled
    chosen = np.floor(np.arange(steps) * (distilled / steps)).astype(np.int64)
    now = (distilled - chosen) * stride - 1
    signal, spread = np.sqrt(bars[now]), np.sqrt(1 - bars[now])
    data_sample, data_output = data_weights(config.prediction_type, signal, spread)
    scaled = now * config.timestep_scaling
    skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
    out = scaled / np.sqrt(scaled**2 + SIGMA_DATA**2)
    # After the last step the picture is left as it is, at full signal and without noise.
    signal_after, spread_after = np.append(signal[1:], 1.0), np.append(spread[1:], 0.0)
    return Plan(
        now.astype(np.float64),
        data_sample=data_sample,
        data_output=data_output,
        clip=config.data_bound,
        sample=signal_after * skip,
        data=signal_after * out,
        noise=spread_after,
        signal=signal,
        spread=spread,
    )
