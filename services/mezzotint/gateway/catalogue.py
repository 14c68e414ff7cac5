"""The models that inference has, remembered for a moment, to refuse unknown ones before anything is charged or queued."""

from __future__ import annotations

from collections.abc import Sequence

from mezzotint.api.inference.v1 import generation_pb2, inference_pb2, inference_pb2_grpc
from mezzotint.gateway.peers import Peer
from mezzotint.runtime.channel import Channel
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import FieldInvalid, MezzotintError, ModelNotFound, SizeUnsupported

FRESH_SECONDS = 5.0
# An answer older than this is asked for again before a request is refused by it: the model may have been loaded since.
REFUSABLE_SECONDS = 0.5
ASK_SECONDS_MAX = 1.0
PAGE_SIZE = 100


class Catalogue:
    """The loaded models. While inference does not answer the last answer stands; before the first, workers decide."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._peer = Peer("inference", channel)
        self._stub = inference_pb2_grpc.InferenceServiceStub(channel)
        self._clock = clock
        self._models: Sequence[inference_pb2.Model] | None = None
        self._asked_at = float("-inf")

    async def models(self) -> Sequence[inference_pb2.Model]:
        """The loaded models by name. Raises DependencyUnavailable when inference never answered."""
        if self._clock.monotonic() - self._asked_at > FRESH_SECONDS:
            await self._refresh()
        if self._models is None:
            self._models = await self._ask()
        return self._models

    async def check(self, spec: generation_pb2.GenerationSpec) -> None:
        """Raise ModelNotFound, SizeUnsupported or FieldInvalid when no loaded model draws this; pass when it is not known."""
        if self._clock.monotonic() - self._asked_at > FRESH_SECONDS:
            await self._refresh()
        if self._models is None or fault(spec, self._models) is None:
            return
        if self._clock.monotonic() - self._asked_at > REFUSABLE_SECONDS:
            await self._refresh()
        if found := fault(spec, self._models):
            raise found

    async def _refresh(self) -> None:
        # Set first: while one caller waits for the answer, the others go by the last one.
        self._asked_at = self._clock.monotonic()
        try:
            self._models = await self._ask()
        except MezzotintError:
            return

    async def _ask(self) -> Sequence[inference_pb2.Model]:
        request = inference_pb2.ListModelsRequest(page_size=PAGE_SIZE)
        response = await self._peer.call(self._stub.ListModels, request, timeout=ASK_SECONDS_MAX)
        return tuple(model for model in response.models if model.loaded)


def fault(spec: generation_pb2.GenerationSpec, models: Sequence[inference_pb2.Model]) -> MezzotintError | None:
    """Why none of `models` draws this, or None."""
    names = ", ".join(model.name for model in models)
    if spec.model and spec.model not in {model.name for model in models}:
        return ModelNotFound(f"no model {spec.model!r} is loaded; there is: {names or 'none'}", metadata={"models": names})
    candidates = [model for model in models if spec.model in ("", model.name)]
    if spec.HasField("image") and candidates and not any(model.takes_images for model in candidates):
        able = ", ".join(model.name for model in models if model.takes_images)
        return FieldInvalid.of("spec.image", f"{spec.model or names} cannot begin from a picture; these can: {able or 'none'}")
    sizes = sorted({size for model in candidates for size in model.sizes})
    if not (spec.width or spec.height) or not sizes:
        return None
    if any(drawn(size, spec) for size in sizes) or any(in_range(model, spec) for model in candidates):
        return None
    wanted = f"{spec.width or 'any'}x{spec.height or 'any'}"
    return SizeUnsupported(
        f"no picture of {wanted} is drawn here; sizes: {', '.join(sizes)}", metadata={"sizes": ", ".join(sizes)}
    )


def drawn(size: str, spec: generation_pb2.GenerationSpec) -> bool:
    """`size` ("256x256") is what the spec asks for; 0 asks for any."""
    width, _, height = size.partition("x")
    return spec.width in (0, int(width)) and spec.height in (0, int(height))


def in_range(model: inference_pb2.Model, spec: generation_pb2.GenerationSpec) -> bool:
    """Whether a model draws a size that it does not list; a side of 0 is the model's own."""
    if not model.HasField("size_range") or not model.sizes:
        return False
    whole, (own_width, _, own_height) = model.size_range, model.sizes[0].partition("x")
    width, height = spec.width or int(own_width), spec.height or int(own_height)
    sides_fit = all(whole.side_min <= side <= whole.side_max and side % whole.step == 0 for side in (width, height))
    return sides_fit and width * height <= whole.area_max
