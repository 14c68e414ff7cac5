"""The text encoder: word pieces -> contextual states and one pooled vector."""

import torch
import torch.nn.functional as functional
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.aquatint.tokenizer import MAX_TOKENS, PAD_ID, VOCABULARY_SIZE


class TransformerLayer(nn.Module):
    """Pre-norm self-attention and feed-forward (Xiong et al. 2020), masked to real tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D); ``bias`` (B, 1, 1, T) is added to the attention logits."""
        batch, tokens, width = states.shape
        packed = self.query_key_value(self.attention_norm(states))
        split = packed.reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5 + bias
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, tokens, width)
        states = states + self.project(mixed)
        fed: Tensor = self.narrow(functional.gelu(self.widen(self.feed_norm(states))))
        return states + fed


class TextEncoder(nn.Module):
    """Embeddings, learned positions and a small transformer; padding comes out as zeros."""

    def __init__(self, width: int = 192, layers: int = 3, heads: int = 4, vocabulary: int = VOCABULARY_SIZE) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(MAX_TOKENS, width) * 0.02)
        nn.init.normal_(self.words.weight, std=0.05)
        self.layers = nn.ModuleList(TransformerLayer(width, heads) for _ in range(layers))
        self.final_norm = nn.LayerNorm(width)
        self.pool = nn.Linear(width, width)

    def forward(self, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Map ids (B, T), T <= 24, to last_hidden_state (B, T, D) and pooler_output (B, D); padding may be cut off."""
        real = (input_ids != PAD_ID).float()
        bias = (real[:, None, None, :] - 1) * 1e4
        states = self.words(input_ids) + self.positions[: input_ids.shape[1]]
        for layer in self.layers:
            states = layer(states, bias)
        states = self.final_norm(states) * real[..., None]
        # The start token sums up the rest as it likes; the mean keeps every word in view.
        pooled = states[:, 0] + states.sum(1) / real.sum(1, keepdim=True)
        return states, self.pool(pooled)


def encode_prompts(tokenizer: Tokenizer, prompts: list[str]) -> Tensor:
    """Return ids (B, 24)."""
    return torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(prompts)])
