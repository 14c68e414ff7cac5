"""The denoiser of a model: the port's inputs under the names that its graph has for them."""

from pathlib import Path

import numpy as np

from mezzotint.inference.graphs.files import invalid
from mezzotint.inference.graphs.graph import FLOAT, Graph, Tensor, expect_numbers
from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.models.engine import Embedding, Floats
from mezzotint.inference.models.families import Family
from mezzotint.inference.models.pieces import Pieces
from mezzotint.inference.models.texts import Texts
from mezzotint.runtime.errors import Internal

HIDDEN, TIMESTEP = "encoder_hidden_states", "timestep"
# Heights and widths of a picture: as it was, where it was cut (twice 0), and as it shall be.
TIME_IDS = 6


class Denoiser:
    """See Engine.denoise. `pieces` tells how many rows the device takes at once."""

    def __init__(self, folder: Path, family: Family, card: ModelCard, texts: Texts, threads: int) -> None:
        """Open it. Raises ModelInvalid."""
        self.file = f"{family.folder}/model.onnx"
        self._family, self._card = family, card
        sides = (None, None) if card.size_range else card.latent[1:]
        inputs = {
            family.sample: Tensor(FLOAT, (None, card.channels, *sides)),
            TIMESTEP: Tensor(FLOAT, (None,)),
            HIDDEN: Tensor(FLOAT, (None, texts.tokens, texts.width)),
        }
        if family.pooled:
            inputs[family.pooled] = Tensor(FLOAT, (None, texts.pooled_width))
        if family.time_ids:
            inputs[family.time_ids] = Tensor(FLOAT, (None, TIME_IDS))
        outputs = {family.result: Tensor(FLOAT, (None, card.channels, *sides))}
        self._graph = Graph(folder, self.file, inputs, outputs, threads, captured=True)
        self.pieces = Pieces(self._graph, card.key)
        self.expect_open(family.sample)

    def expect_open(self, name: str) -> None:
        """Raise ModelInvalid when the card says that any size is drawn and the graph fixes one."""
        fixed = [size for axis in (2, 3) if (size := self._graph.fixed(name, axis)) is not None]
        if fixed and self._card.size_range:
            raise invalid(
                self.file,
                f"input {name} fixes a side to {fixed[0]} cells; leave both open, or set _mezzotint.size_range to null in "
                "model_index.json so that one size is drawn",
            )

    @property
    def device(self) -> str:
        """What it runs on."""
        return self._graph.device

    def __call__(self, samples: Floats, timesteps: Floats, hidden: Floats, pooled: Floats) -> Floats:
        """See Engine."""
        family = self._family
        feed = {family.sample: samples, TIMESTEP: timesteps, HIDDEN: hidden}
        if family.pooled:
            feed[family.pooled] = pooled
        if family.time_ids:
            feed[family.time_ids] = self._time_ids(samples)
        return self.pieces(feed, samples.shape[1:])

    def padding(self, rows: int, latent: tuple[int, ...]) -> int:
        """See Engine."""
        return sum(self._graph.padding(size) for size in self.pieces.sizes(rows, latent))

    def warm_up(self, embedding: Embedding, latent: tuple[int, int, int], rows: int) -> None:
        """One call with `rows` rows, whose result must be numbers. Raises ModelInvalid."""
        samples = np.random.default_rng(0).standard_normal((rows, *latent), np.float32)
        timesteps = np.linspace(999.0, 1.0, rows, dtype=np.float32)
        hidden, pooled = np.stack([embedding.hidden] * rows), np.stack([embedding.pooled] * rows)
        try:
            result = self(samples, timesteps, hidden, pooled)
        except Internal as error:
            raise invalid(self.file, str(error)) from error
        expect_numbers(self.file, result, (rows, *latent))

    def _time_ids(self, samples: Floats) -> Floats:
        """The sizes of pictures that are drawn whole at their own size."""
        height, width = (side * self._card.scale for side in samples.shape[2:])
        return np.tile(np.array([height, width, 0, 0, height, width], np.float32), (len(samples), 1))
