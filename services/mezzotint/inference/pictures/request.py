"""From what was asked to what will be drawn: defaults filled in, limits of the model kept."""

import secrets
from collections.abc import Callable

from mezzotint.api.inference.v1.generation_pb2 import (
    IMAGE_FORMAT_JPEG,
    IMAGE_FORMAT_PNG,
    IMAGE_FORMAT_UNSPECIFIED,
    SCHEDULER_UNSPECIFIED,
    GenerationSpec,
    Scheduler,
)
from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.sampling.guidance import WITHOUT
from mezzotint.inference.sampling.sampler import Sampler, steps_max_of
from mezzotint.runtime.errors import FieldInvalid, SizeUnsupported

# Chosen seeds are below this: short enough to be typed in again.
CHOSEN_SEED_MAX = 2**32
PREFIX = "SCHEDULER_"
# How far from an image pictures go when a request does not say. Without words only what is left of the image says what to draw.
STRENGTH, STRENGTH_WITH_MASK, STRENGTH_WITHOUT_PROMPT = 0.6, 1.0, 0.3


def chosen_seed() -> int:
    """A seed for a request that names none."""
    return secrets.randbelow(CHOSEN_SEED_MAX)


def resolve(spec: GenerationSpec, card: ModelCard, new_seed: Callable[[], int] = chosen_seed) -> GenerationSpec:
    """`spec`, which keeps the contract's rules, with every default filled in. Raises SizeUnsupported, FieldInvalid."""
    resolved = GenerationSpec()
    resolved.CopyFrom(spec)
    resolved.model = card.name
    resolved.width, resolved.height = spec.width or card.image_size, spec.height or card.image_size
    if not card.draws(resolved.width, resolved.height):
        listed = ", ".join(card.sizes)
        raise SizeUnsupported(
            f"{card.name} does not draw {resolved.width}x{resolved.height}; it draws {listed}{range_of(card)}",
            metadata={"sizes": listed},
        )
    resolved.images = spec.images or 1
    sampler = resolve_sampler(spec, card)
    resolved.scheduler = scheduler_of(sampler)
    steps_max = min(card.steps_max, steps_max_of(card.scheduler, sampler))
    resolved.steps = spec.steps or min(card.steps_default, steps_max)
    if resolved.steps > steps_max:
        raise FieldInvalid.of("spec.steps", f"{card.name} takes {steps_max} steps at most with {sampler}, not {resolved.steps}")
    # Without any words there is nothing to be guided by, and a second row would be the first one again.
    own = card.guidance_default if spec.prompt or spec.negative_prompt else WITHOUT
    resolved.guidance = spec.guidance if spec.HasField("guidance") else own
    resolved.seed = spec.seed if spec.HasField("seed") else new_seed()
    resolved.format = IMAGE_FORMAT_PNG if spec.format == IMAGE_FORMAT_UNSPECIFIED else spec.format
    resolved.opaque = spec.opaque or resolved.format == IMAGE_FORMAT_JPEG
    if spec.HasField("image"):
        if not card.takes_images:
            raise FieldInvalid.of("spec.image", f"{card.name} has no encoder, so it cannot begin from a picture")
        if not spec.HasField("strength"):
            resolved.strength = _own_strength(spec)
    return resolved


def _own_strength(spec: GenerationSpec) -> float:
    """How far from its image the pictures of a request go that does not say."""
    if spec.HasField("mask"):
        return STRENGTH_WITH_MASK
    return STRENGTH if spec.prompt else STRENGTH_WITHOUT_PROMPT


def range_of(card: ModelCard) -> str:
    """The sizes that a model draws besides those it lists, in words; nothing when there are no others."""
    if (whole := card.size_range) is None:
        return ""
    sides = f"sides from {whole.side_min} to {whole.side_max} that are multiples of {whole.step}"
    return f" and any with {sides} and no more than {whole.area_max} pixels"


def resolve_sampler(spec: GenerationSpec, card: ModelCard) -> Sampler:
    """The method asked for, or the model's own. Raises FieldInvalid when it does not fit what the model predicts."""
    if spec.scheduler == SCHEDULER_UNSPECIFIED:
        return card.samplers[0]
    sampler = sampler_of(spec.scheduler)
    if sampler not in card.samplers:
        fitting = ", ".join(card.samplers)
        raise FieldInvalid.of("spec.scheduler", f"{sampler} does not fit {card.name} ({card.prediction}); it takes {fitting}")
    return sampler


def sampler_of(scheduler: Scheduler.ValueType) -> Sampler:
    """The method that a value of the contract names."""
    return Sampler(Scheduler.Name(scheduler).removeprefix(PREFIX).lower())


def scheduler_of(sampler: Sampler) -> Scheduler.ValueType:
    """A method as a value of the contract."""
    return Scheduler.Value(PREFIX + sampler.upper())


def preview_steps(steps: int, previews: int) -> frozenset[int]:
    """After which steps a preview is due: `previews` of them, evenly spread over 1 … steps - 1, or fewer if steps are few."""
    return frozenset(round(steps * i / (previews + 1)) for i in range(1, previews + 1)) - {0, steps}
