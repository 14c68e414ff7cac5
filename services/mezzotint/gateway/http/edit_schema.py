"""The forms of POST /v1/images/edits and /v1/images/variations, and what they ask of the engine."""

from typing import ClassVar

from pydantic import ConfigDict, Field
from starlette.datastructures import FormData, UploadFile

from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.gateway.http.errors import HttpError
from mezzotint.gateway.http.schema import NAME_LENGTH_MAX, ImageRequest, checked, spec_of

# Clients of OpenAI's name a file of a list with brackets.
FILES = {"image": "image", "image[]": "image", "mask": "mask"}


class EditRequest(ImageRequest):
    """The fields of an edit besides its files: those of a generation, and `strength`."""

    # Forms have only text.
    model_config = ConfigDict(strict=False, extra="forbid")

    strength: float | None = Field(
        default=None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="How far from the image; absent: 0.6, with a mask 1, without words 0.3.",
    )
    input_fidelity: str | None = Field(default=None, description="Accepted; `strength` is what decides here.")
    event: ClassVar[str] = "image_edit"


class VariationRequest(EditRequest):
    """The fields of a variation besides its file; it needs no prompt."""

    prompt: str = Field(default="", description="What is to be seen; may be left out.")


async def asked_in(form: FormData, kind: type[EditRequest]) -> tuple[EditRequest, generation_pb2.GenerationSpec]:
    """The request in a form, and what is to be drawn. Raises HttpError (400) naming the parameter at fault, FieldInvalid."""
    files: dict[str, UploadFile] = {}
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) != (name in FILES):
            raise HttpError(
                400, f"{name[:NAME_LENGTH_MAX]!r} is a file, or should be one.", code="invalid_type", param=name[:64]
            )
        name = FILES.get(name, name)
        if name in files or name in fields:
            raise HttpError(
                400, f"{name[:NAME_LENGTH_MAX]!r} is given twice; one is taken.", code="invalid_value", param=name[:64]
            )
        if isinstance(value, UploadFile):
            files[name] = value
        else:
            fields[name] = value
    asked = checked(kind, fields)
    if "image" not in files:
        raise HttpError(400, "Missing required parameter: 'image'.", code="missing_required_parameter", param="image")
    spec = spec_of(asked)
    spec.image.data = await files["image"].read()
    if "mask" in files:
        spec.mask.data = await files["mask"].read()
        spec.mask_kind = generation_pb2.MASK_KIND_TRANSPARENT
    if asked.strength is not None:
        spec.strength = asked.strength
    return asked, spec
