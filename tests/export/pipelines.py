"""Small pipelines with random weights, saved as the diffusers library saves them. Nothing is downloaded."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

START, END = "<|startoftext|>", "<|endoftext|>"
TOKENS, WIDTH, T5_WIDTH = 16, 32, 72


def tokenizer(*, pad: str = END, start: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE as CLIP's: lower case, a start and an end around each text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        token: number for number, token in enumerate([*letters, *(letter + "</w>" for letter in letters), START, END])
    }
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    pair = [(START, vocabulary[START]), (END, vocabulary[END])]
    template = f"{START} $A {END}" if start else f"$A {END}"
    made.post_processor = processors.TemplateProcessing(single=template, special_tokens=pair)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=START, eos_token=END, pad_token=pad, unk_token=END, model_max_length=TOKENS
    )


VOCABULARY = len(tokenizer())


def clip(cls: Any, *, act: str = "quick_gelu") -> Any:
    """A CLIP text encoder of two layers."""
    torch.manual_seed(1)
    config = CLIPTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        projection_dim=WIDTH,
        hidden_act=act,
        bos_token_id=VOCABULARY - 2,
        eos_token_id=VOCABULARY - 1,
        pad_token_id=VOCABULARY - 1,
    )
    return cls(config).eval()


def vae(*, levels: int = 1, shift: float | None = None) -> AutoencoderKL:
    """An autoencoder; with two levels its pictures have twice the sides of its latents."""
    torch.manual_seed(2)
    return AutoencoderKL(
        block_out_channels=(8,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=0.5,
        shift_factor=shift,
        use_quant_conv=shift is None,
        use_post_quant_conv=shift is None,
        mid_block_add_attention=False,
    ).eval()


def unet(**changes: Any) -> UNet2DConditionModel:
    """A UNet of one level."""
    torch.manual_seed(3)
    return UNet2DConditionModel(
        **{
            "sample_size": 16,
            "block_out_channels": (8,),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "down_block_types": ("CrossAttnDownBlock2D",),
            "up_block_types": ("CrossAttnUpBlock2D",),
            "mid_block_type": None,
            "cross_attention_dim": WIDTH,
            "attention_head_dim": 2,
            **changes,
        }
    ).eval()


def save_sd(folder: Path) -> StableDiffusionPipeline:
    """Stable Diffusion 1."""
    pipeline = StableDiffusionPipeline(
        vae=vae(levels=2),
        text_encoder=clip(CLIPTextModel),
        tokenizer=tokenizer(),
        unet=unet(
            block_out_channels=(4, 8),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return saved(pipeline, folder)


def save_sdxl(folder: Path) -> StableDiffusionXLPipeline:
    """Stable Diffusion XL: two text encoders, sizes as a condition."""
    pipeline = StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=clip(CLIPTextModel),
        text_encoder_2=clip(CLIPTextModelWithProjection, act="gelu"),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(pad="!"),
        unet=unet(
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
            use_linear_projection=True,
        ),
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    return saved(pipeline, folder)


def save_sd3(folder: Path, *, t5: bool = True) -> StableDiffusion3Pipeline:
    """Stable Diffusion 3: flow matching, two CLIP encoders and T5."""
    torch.manual_seed(4)
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=T5_WIDTH,
        caption_projection_dim=32,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=24,
    ).eval()
    config = T5Config(vocab_size=VOCABULARY, d_model=T5_WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=4)
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(shift=0.1),
        text_encoder=clip(CLIPTextModelWithProjection),
        tokenizer=tokenizer(),
        text_encoder_2=clip(CLIPTextModelWithProjection, act="gelu"),
        tokenizer_2=tokenizer(pad="!"),
        text_encoder_3=T5EncoderModel(config).eval() if t5 else None,
        tokenizer_3=tokenizer(start=False) if t5 else None,
    )
    return saved(pipeline, folder)


def saved(pipeline: Any, folder: Path) -> Any:
    """Save and return a pipeline that draws on the CPU without a progress bar."""
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder)
    return pipeline
