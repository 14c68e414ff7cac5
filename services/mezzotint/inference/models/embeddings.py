"""Embeddings of prompts, kept for the next request with the same words."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from mezzotint.inference import metrics
from mezzotint.inference.models.engine import Embedding, Engine


class EmbeddingCache:
    """The embeddings used last, at most `entries_max` of them. `embed` blocks; it is called in the pool, by many threads."""

    def __init__(self, entries_max: int) -> None:
        self._entries_max = entries_max
        self._entries: OrderedDict[tuple[int, str], tuple[Engine, Embedding]] = OrderedDict()
        self._lock = Lock()

    def embed(self, engine: Engine, texts: Sequence[str]) -> list[Embedding]:
        """The embeddings of texts; those not kept are computed in one call. Raises Internal when the engine fails."""
        found = {text: self._get(engine, text) for text in texts}
        missing = [text for text, embedding in found.items() if embedding is None]
        computed = dict(zip(missing, engine.embed(missing), strict=True)) if missing else {}
        for text, embedding in computed.items():
            self._put(engine, text, embedding)
        metrics.EMBEDDINGS.labels("no").inc(len(missing))
        metrics.EMBEDDINGS.labels("yes").inc(len(found) - len(missing))
        return [found[text] or computed[text] for text in texts]

    def forget(self, engine: Engine) -> None:
        """Drop what belongs to an engine that is unloaded."""
        with self._lock:
            for key in [key for key, (owner, _) in self._entries.items() if owner is engine]:
                del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)

    def _get(self, engine: Engine, text: str) -> Embedding | None:
        with self._lock:
            key = (id(engine), text)
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][1]

    def _put(self, engine: Engine, text: str, embedding: Embedding) -> None:
        with self._lock:
            # The entry holds its engine, so that the engine's id stays its own as long as the entry is here.
            self._entries[(id(engine), text)] = (engine, embedding)
            self._entries.move_to_end((id(engine), text))
            while len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)
