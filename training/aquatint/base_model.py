"""The base model: text encoder and U-Net trained together, and sampling from them."""

from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.aquatint.flow import TIMESTEPS, integrate, noise_to, sigma_schedule
from training.aquatint.text_encoder import TextEncoder, encode_prompts
from training.aquatint.unet import Unet, UnetShape, velocity_given_draft

SHIFT = 3.0  # more of the steps while there is much noise, where words decide the shape
GUIDANCE_DEFAULT = 2.5
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

    def draft_loss(self, data: Tensor, input_ids: Tensor) -> Tensor:
        """Return the mean squared error of the draft alone, a scalar: a caption costs a twentieth of a denoised picture."""
        drawn: Tensor = self.unet.draft(self.text_encoder(input_ids)[1])
        return (drawn.float() - data).square().mean()

    def losses(self, data: Tensor, noise: Tensor, input_ids: Tensor, sigmas: Tensor) -> tuple[Tensor, Tensor]:
        """Return two scalars: the mean squared error of the correction, and that of the draft.

        The draft learns from the pictures alone: it stays the mean of what the words may mean.
        """
        words, pooled = self.text_encoder(input_ids)
        draft = self.unet.draft(pooled).float()
        drafted = (draft - data).square().mean()
        draft, sample = draft.detach(), noise_to(sigmas, data, noise)
        correction = self.unet.correct(sample, sigmas * TIMESTEPS, words, pooled, draft).float()
        expected, spread = velocity_given_draft(sample, draft, sigmas)
        wanted = (noise - data - expected) / spread
        return (correction - wanted).square().mean(), drafted


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
    count, device = len(prompts), model.unet.position.device
    ids = encode_prompts(tokenizer, prompts + [""] * count).to(device)
    words, pooled = model.text_encoder(ids)

    def guided(sample: Tensor, timestep: Tensor) -> Tensor:
        both: Tensor = model.unet(torch.cat([sample] * 2), torch.cat([timestep] * 2), words, pooled)
        asked, free = both.chunk(2)
        return torch.add(free, asked - free, alpha=guidance)

    noise = torch.randn(count, *LATENT_SHAPE, generator=torch.Generator().manual_seed(seed))
    return integrate(guided, noise.to(device), sigma_schedule(steps, SHIFT))
