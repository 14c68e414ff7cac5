"""The draft: what the words alone say about the picture, before any noise is looked at.

It answers with the mean of all pictures that a caption may mean: sharp where the words are exact, a blur where
they are not. The denoiser starts from it, so that its own weights need not remember what a rocket looks like.
"""

import torch.nn.functional as functional
from torch import Tensor, nn


class Draft(nn.Module):
    """Pooled words -> the mean latent, through one dense layer: nothing is shared between positions."""

    def __init__(self, words: int, latent_shape: tuple[int, int, int], hidden: int) -> None:
        super().__init__()
        self.latent_shape = latent_shape
        channels, height, width = latent_shape
        self.widen = nn.Linear(words, hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.draw = nn.Linear(hidden, channels * height * width)

    def forward(self, text_embeds: Tensor) -> Tensor:
        """Map pooled words (B, D) to the mean latent (B, C, H, W)."""
        hidden = functional.gelu(self.widen(text_embeds))
        hidden = hidden + functional.gelu(self.mix(hidden))
        drawn: Tensor = self.draw(hidden)
        return drawn.reshape(-1, *self.latent_shape)
