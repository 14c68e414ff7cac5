"""The cache of prompt embeddings."""

from collections.abc import Sequence

import numpy as np

from mezzotint.inference.models.embeddings import EmbeddingCache
from mezzotint.inference.models.engine import Embedding
from mezzotint.inference.models.onnx_engine import OnnxEngine


class Counting:
    """An engine that remembers which texts it embedded."""

    def __init__(self, engine: OnnxEngine) -> None:
        self.card, self.denoise, self.decode = engine.card, engine.denoise, engine.decode
        self.encode, self.sketch, self.padding = engine.encode, engine.sketch, engine.padding
        self.embedded: list[list[str]] = []
        self._engine = engine

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        self.embedded.append(list(texts))
        return self._engine.embed(texts)


def test_texts_are_embedded_once(engine: OnnxEngine) -> None:
    """What is not known is embedded in one call, each text once; what is known costs none and is the same."""
    cache, counting = EmbeddingCache(8), Counting(engine)
    first = cache.embed(counting, ["a", "", "a"])
    again = cache.embed(counting, ["a", "b"])
    assert counting.embedded == [["a", ""], ["b"]]
    assert first[0] is first[2] is again[0]
    np.testing.assert_array_equal(again[1].hidden, engine.embed(["b"])[0].hidden)


def test_least_recently_used_goes_first(engine: OnnxEngine) -> None:
    """The cache holds what was used last, no more than its bound, and nothing of an engine that is forgotten."""
    cache, counting = EmbeddingCache(2), Counting(engine)
    for text in ("a", "b", "a", "c", "a"):
        cache.embed(counting, [text])
    assert counting.embedded == [["a"], ["b"], ["c"]]
    assert len(cache) == 2
    cache.forget(counting)
    assert len(cache) == 0
