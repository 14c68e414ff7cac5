"""Begins what requests ask for."""

from collections.abc import Mapping
from contextlib import ExitStack

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference.models.repository import Repository
from mezzotint.inference.pictures.painting import Painting, Studio
from mezzotint.inference.pictures.request import resolve


class Painter:
    """Starts paintings with the models of a repository. `priorities` are those of tiers; lower numbers go first."""

    def __init__(self, repository: Repository, studio: Studio, priorities: Mapping[str, int] | None = None) -> None:
        self._repository = repository
        self._studio = studio
        self._priorities = priorities or {}

    def paint(self, spec: GenerationSpec, tier: str | None = None) -> Painting:
        """Begin to draw what `spec`, which keeps the contract's rules, asks for, for somebody of a tier.

        Requests without a tier come from a service or an operator and go first; tiers without a priority go last.
        Raises ModelNotFound, SizeUnsupported, FieldInvalid, ServerOverloaded.
        """
        with ExitStack() as stack:
            engine = stack.enter_context(self._repository.use(spec.model))
            resolved = resolve(spec, engine.card)
            given_bytes = len(spec.image.data) + len(spec.mask.data)
            place = self._studio.preparing.enter(resolved.images, given_bytes, beside=self._studio.capacity.behind)
            painting = Painting(resolved, engine, self._studio, place, self._priority(tier))
            painting.start(stack.pop_all())
        return painting

    def _priority(self, tier: str | None) -> int:
        known = self._priorities.values()
        return min(known, default=0) if tier is None else self._priorities.get(tier, max(known, default=0))
