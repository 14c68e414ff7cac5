"""What a model predicts of a sample that is `signal` × data + `spread` × noise, and the data and noise which that points to.

The velocity of variance-preserving diffusion is signal × noise - spread × data (Salimans & Ho 2022, arXiv 2202.00512), that of
flow matching, where signal + spread = 1, is noise - data (Lipman et al. 2023, arXiv 2210.02747).
"""

from typing import Literal

import numpy as np

from mezzotint.inference.sampling.plan import Doubles

Prediction = Literal["epsilon", "v_prediction", "sample", "flow_prediction"]


def data_weights(prediction: Prediction, signal: Doubles, spread: Doubles) -> tuple[Doubles, Doubles]:
    """The weights of the sample and of the model's output in the data they point to, for each step."""
    if prediction == "epsilon":
        return 1 / signal, -spread / signal
    if prediction == "v_prediction":
        return signal, -spread
    if prediction == "flow_prediction":
        return np.ones_like(spread), -spread
    return np.zeros_like(signal), np.ones_like(signal)


def noise_weights(prediction: Prediction, signal: Doubles, spread: Doubles) -> tuple[Doubles, Doubles]:
    """The weights of the sample and of the model's output in the noise they point to, for each step."""
    if prediction == "epsilon":
        return np.zeros_like(signal), np.ones_like(signal)
    if prediction == "v_prediction":
        return spread, signal
    if prediction == "flow_prediction":
        return np.ones_like(spread), signal
    return 1 / spread, -signal / spread
