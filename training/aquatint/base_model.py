"""The base model: text encoder and U-Net trained together, and sampling from them."""

from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.aquatint.flow import TIMESTEPS, integrate, noise_to, sigma_schedule
from training.aquatint.text_encoder import TextEncoder
from training.aquatint.unet import Unet, UnetShape

SHIFT = 3.0  # more of the steps while there is much noise, where words decide the shape
GUIDANCE_DEFAULT = 3.0
STEPS_DEFAULT = 20
LATENT_SHAPE = (4, 32, 32)


class BaseModel(nn.Module):
    """Everything that turns words and noise into a latent."""

    def __init__(self, shape: UnetShape | None = None, **text: Any) -> None:
        super().__init__()
        self.unet = Unet(shape)
        self.text_encoder = TextEncoder(width=self.unet.shape.words, **text)

    def forward(self, sample: Tensor, timestep: Tensor, input_ids: Tensor) -> Tensor:
        """Predict the velocity (B, 4, 32, 32) for captions (B, 24)."""
        velocity: Tensor = self.unet(sample, timestep, *self.text_encoder(input_ids))
        return velocity

    def loss(self, data: Tensor, input_ids: Tensor, sigmas: Tensor, noise: Tensor) -> Tensor:
        """Return the mean squared error of the velocity, a scalar."""
        predicted: Tensor = self(noise_to(sigmas, data, noise), sigmas * TIMESTEPS, input_ids)
        return (predicted.float() - (noise - data)).square().mean()


def encode_prompts(tokenizer: Tokenizer, prompts: list[str]) -> Tensor:
    """Return ids (B, 24)."""
    return torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(prompts)])


@torch.no_grad()
def sample_latents(
    model: BaseModel,
    tokenizer: Tokenizer,
    prompts: list[str],
    *,
    seed: int,
    steps: int = STEPS_DEFAULT,
    guidance: float = GUIDANCE_DEFAULT,
) -> Tensor:
    """Draw one latent (B, 4, 32, 32) a prompt, with classifier-free guidance (Ho & Salimans 2022)."""
    count = len(prompts)
    ids = encode_prompts(tokenizer, prompts + [""] * count)
    words, pooled = model.text_encoder(ids)

    def guided(sample: Tensor, timestep: Tensor) -> Tensor:
        both: Tensor = model.unet(torch.cat([sample] * 2), torch.cat([timestep] * 2), words, pooled)
        asked, free = both.chunk(2)
        return torch.add(free, asked - free, alpha=guidance)

    noise = torch.randn(count, *LATENT_SHAPE, generator=torch.Generator().manual_seed(seed))
    return integrate(guided, noise, sigma_schedule(steps, SHIFT))
