"""Begins what requests ask for."""

from contextlib import ExitStack

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference.painting import Painting, Studio
from mezzotint.inference.repository import Repository
from mezzotint.inference.request import resolve


class Painter:
    """Starts paintings with the models of a repository."""

    def __init__(self, repository: Repository, studio: Studio) -> None:
        self._repository = repository
        self._studio = studio

    def paint(self, spec: GenerationSpec) -> Painting:
        """Begin to draw what `spec`, which keeps the contract's rules, asks for.

        Raises ModelNotFound, SizeUnsupported, FieldInvalid, ServerOverloaded.
        """
        with ExitStack() as stack:
            engine = stack.enter_context(self._repository.use(spec.model))
            resolved = resolve(spec, engine.card)
            self._studio.loop.expect(resolved.images)
            painting = Painting(resolved, engine, self._studio)
            painting.start(stack.pop_all())
        return painting
