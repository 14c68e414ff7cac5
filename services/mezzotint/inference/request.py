"""From what was asked to what will be drawn: defaults filled in, limits of the model kept."""

import secrets
from collections.abc import Callable

from mezzotint.api.inference.v1.generation_pb2 import (
    IMAGE_FORMAT_JPEG,
    IMAGE_FORMAT_PNG,
    IMAGE_FORMAT_UNSPECIFIED,
    GenerationSpec,
)
from mezzotint.inference.card import ModelCard
from mezzotint.runtime.errors import FieldInvalid, SizeUnsupported

# Chosen seeds are below this: short enough to be typed in again.
CHOSEN_SEED_MAX = 2**32


def chosen_seed() -> int:
    """A seed for a request that names none."""
    return secrets.randbelow(CHOSEN_SEED_MAX)


def resolve(spec: GenerationSpec, card: ModelCard, new_seed: Callable[[], int] = chosen_seed) -> GenerationSpec:
    """`spec`, which keeps the contract's rules, with every default filled in. Raises SizeUnsupported, FieldInvalid."""
    resolved = GenerationSpec()
    resolved.CopyFrom(spec)
    resolved.model = card.name
    resolved.width, resolved.height = spec.width or card.image_size, spec.height or card.image_size
    if f"{resolved.width}x{resolved.height}" not in card.sizes:
        listed = ", ".join(card.sizes)
        raise SizeUnsupported(
            f"{card.name} does not draw {resolved.width}x{resolved.height}; it draws {listed}", metadata={"sizes": listed}
        )
    resolved.images = spec.images or 1
    resolved.steps = spec.steps or card.steps_default
    if resolved.steps > card.steps_max:
        raise FieldInvalid.of("spec.steps", f"{card.name} takes {card.steps_max} steps at most, not {resolved.steps}")
    resolved.guidance = spec.guidance if spec.HasField("guidance") else card.guidance_default
    resolved.seed = spec.seed if spec.HasField("seed") else new_seed()
    resolved.format = IMAGE_FORMAT_PNG if spec.format == IMAGE_FORMAT_UNSPECIFIED else spec.format
    resolved.opaque = spec.opaque or resolved.format == IMAGE_FORMAT_JPEG
    return resolved


def preview_steps(steps: int, previews: int) -> frozenset[int]:
    """After which steps a preview is due: `previews` of them, evenly spread over 1 … steps - 1, or fewer if steps are few."""
    return frozenset(round(steps * i / (previews + 1)) for i in range(1, previews + 1)) - {0, steps}
