"""The noise of a picture: the same for a seed on every machine, with every version of numpy, alone or in a batch.

Philox's raw numbers are fixed by its definition (Salmon et al. 2011), and Box-Muller makes them normal; numpy's own
`standard_normal` may change its stream between versions.
"""

import math

import numpy as np
import numpy.typing as npt

# A generator counts up from its counter's low end, so draws told apart by the last of its four 64-bit words never meet.
LAST_WORD = 192


def noise(seed: int, shape: tuple[int, ...], draw: int = 0) -> npt.NDArray[np.float32]:
    """Standard normal numbers of `shape`, decided by `seed` and `draw` alone: draw 0 is what a picture begins from."""
    count = math.prod(shape)
    pairs = (count + 1) // 2
    raw = np.random.Philox(key=seed, counter=draw << LAST_WORD).random_raw(2 * pairs)
    # 53 bits, moved off zero, whose logarithm is infinite.
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    radius, angle = np.sqrt(-2.0 * np.log(uniform[:pairs])), 2.0 * np.pi * uniform[pairs:]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
    return normal.reshape(shape).astype(np.float32)
