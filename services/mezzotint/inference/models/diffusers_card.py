"""The card of a model folder: what `_mezzotint` says, and for other pipelines than ours what their configurations say."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mezzotint.inference.graphs.files import invalid, read_json
from mezzotint.inference.models.card import INDEX, PIPELINE, SIDE_MAX, ModelCard, first_of, read_scheduler
from mezzotint.inference.models.families import FAMILIES, Family
from mezzotint.inference.models.folder import VERSION

DECODER = "vae_decoder/config.json"
# A side may be half to twice as long as the default, and a picture have 1.5 times its pixels: what such models draw well.
SIDES = 2
AREA = 1.5


def read_card(folder: Path) -> ModelCard:
    """The card of a model folder: one of the model's name, or one of a version's number in such. Raises ModelInvalid."""
    index = read_json(folder, INDEX)
    pipeline = index.get("_class_name")
    if pipeline not in FAMILIES:
        raise invalid(INDEX, f"_class_name is {pipeline!r}; what can be served is {', '.join(FAMILIES)}")
    scheduler = read_scheduler(folder)
    own = index.get("_mezzotint", None if pipeline == PIPELINE else {})
    if not isinstance(own, dict):
        raise invalid(INDEX, "the object _mezzotint is missing")
    name, version = (folder.parent.name, folder.name) if VERSION.fullmatch(folder.name) else (folder.name, "1")
    found = {} if pipeline == PIPELINE else configured(folder, index, FAMILIES[pipeline])
    own = ({"name": name, "version": version} | found if found else {}) | own
    if own.get("name") != name:
        raise invalid(INDEX, f"_mezzotint.name is {own.get('name')!r}; it must be the folder's name, {name!r}")
    try:
        return ModelCard.model_validate({**own, "pipeline": pipeline, "scheduler": scheduler})
    except ValidationError as error:
        raise invalid(INDEX, f"_mezzotint: {first_of(error)}") from error


def configured(folder: Path, index: dict[str, Any], family: Family) -> dict[str, Any]:
    """The fields of a card as the parts' configurations have them. Raises ModelInvalid."""
    file = f"{family.folder}/config.json"
    denoiser, decoder = read_json(folder, file), read_json(folder, DECODER)
    levels = decoder.get("block_out_channels")
    if not isinstance(levels, list) or not 1 <= len(levels) <= 7:
        raise invalid(DECODER, f"block_out_channels is {levels!r}; it must list 1 to 7 levels")
    scale, cells, patch = 2 ** (len(levels) - 1), denoiser.get("sample_size"), denoiser.get("patch_size", 1)
    for field, value in (("sample_size", cells), ("patch_size", patch), ("in_channels", denoiser.get("in_channels"))):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 512:
            raise invalid(file, f"{field} is {value!r}; it must be a whole number from 1 to 512")
    if denoiser["in_channels"] != decoder.get("latent_channels"):
        raise invalid(
            file, f"in_channels is {denoiser['in_channels']}; {DECODER} has {decoder.get('latent_channels')!r} latent_channels"
        )
    if denoiser.get("time_cond_proj_dim"):
        raise invalid(file, "time_cond_proj_dim is set: guidance inside the model cannot be served")
    image, step = cells * scale, scale * patch
    return {
        "channels": denoiser["in_channels"],
        "latent_size": cells,
        "image_size": image,
        "scale": scale,
        "size_range": size_range(image, step, largest(denoiser, scale, patch)),
        "max_tokens": tokens_of(folder, family),
        "zeros_for_empty": index.get("force_zeros_for_empty_prompt") is True,
        "encodes": (folder / "vae_encoder/model.onnx").is_file(),
        "steps_default": family.steps_default,
        "steps_max": 100,
        "guidance_default": family.guidance_default,
    }


def size_range(image: int, step: int, largest_side: int) -> dict[str, int]:
    """The sizes that a model with this default size draws, in pixels; the least that its step allows."""
    least = -(-image // (SIDES * step)) * step
    most = min(image * SIDES, largest_side, SIDE_MAX)
    return {"step": step, "side_min": least, "side_max": most, "area_max": min(int(image * image * AREA), most * most)}


def largest(denoiser: dict[str, Any], scale: int, patch: int) -> int:
    """The longest side that a denoiser has positions for, in pixels."""
    positions = denoiser.get("pos_embed_max_size")
    return positions * patch * scale if isinstance(positions, int) and positions > 0 else SIDE_MAX


def tokens_of(folder: Path, family: Family) -> int:
    """The tokens of a text: as many as the first tokenizer and its encoder take. Raises ModelInvalid."""
    first = family.texts[0]
    file = f"{first.tokenizer}/tokenizer_config.json"
    limit = read_json(folder, file).get("model_max_length")
    positions = read_json(folder, f"{first.folder}/config.json").get("max_position_embeddings", limit)
    found = [value for value in (limit, positions) if isinstance(value, int) and value >= 1]
    if len(found) < len((limit, positions)):
        raise invalid(file, f"model_max_length is {limit!r}, max_position_embeddings {positions!r}; both must be above 0")
    return min(found)
