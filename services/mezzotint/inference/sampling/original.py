"""The picture that another one is made from, in latents, and the part of it that is kept."""

from dataclasses import dataclass

import numpy as np

from mezzotint.inference.sampling.plan import Floats


@dataclass(frozen=True)
class Original:
    """`latents` (C, H, W) to begin from; `redrawn` (1, H, W) is 1 where they are drawn anew and 0 where kept; None: all 1."""

    latents: Floats
    redrawn: Floats | None = None

    def over(self, drawn: Floats, original: Floats) -> Floats:
        """What was drawn, (C, H, W), with the original where that is kept, to the bit."""
        if self.redrawn is None:
            return drawn
        blended: Floats = np.where(self.redrawn == 0, original, drawn)
        return blended
