"""From texts to what the denoiser is told of them: tokenizers and text encoders, as a family puts them together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from mezzotint.inference.graphs.files import invalid, read_json, readable
from mezzotint.inference.graphs.graph import FLOAT, INT64, Graph, Tensor, expect_numbers
from mezzotint.inference.models.card import ModelCard
from mezzotint.inference.models.engine import Embedding, Floats
from mezzotint.inference.models.families import Family, Hidden, TextSource
from mezzotint.runtime.errors import Internal

# Texts of a warm-up.
TRIED = ("", "a warm-up")


class Texts:
    """All text encoders of a model. `tokens`, `width` and `pooled_width` are the shapes of its embeddings."""

    def __init__(self, folder: Path, family: Family, card: ModelCard, threads: int) -> None:
        """Open them. Raises ModelInvalid."""
        there = [each for each in family.texts if not each.optional or (folder / each.folder).is_dir()]
        self._encoders = [TextEncoder(folder, each, card, threads) for each in there]
        self._beside = [each for each in self._encoders if each.source.hidden is not Hidden.APPENDED]
        self._appended = [each for each in self._encoders if each.source.hidden is Hidden.APPENDED]
        # An encoder that may be left out leaves zeros in its place.
        left_out = [card.max_tokens for each in family.texts if each not in there]
        self.tokens = card.max_tokens + sum(each.tokens for each in self._appended) + sum(left_out)
        beside = sum(each.width for each in self._beside)
        self.width = max([beside, *(each.width for each in self._appended)])
        self.pooled_width = sum(each.pooled_width for each in self._encoders)
        self._zeros_for_empty = card.zeros_for_empty
        if {each.tokens for each in self._beside} != {card.max_tokens}:
            raise invalid(there[0].tokenizer, f"its texts have other lengths than those of {there[-1].tokenizer}")

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """See Engine."""
        found = {each: each(texts) for each in self._encoders}
        hidden = np.zeros((len(texts), self.tokens, self.width), np.float32)
        beside = np.concatenate([found[each][0] for each in self._beside], axis=-1)
        hidden[:, : beside.shape[1], : beside.shape[2]] = beside
        token = beside.shape[1]
        for each in self._appended:
            hidden[:, token : token + each.tokens, : each.width] = found[each][0]
            token += each.tokens
        pooled = np.concatenate([pooled for _, pooled in found.values()], axis=-1)
        if self._zeros_for_empty:
            empty = [index for index, text in enumerate(texts) if not text]
            hidden[empty], pooled[empty] = 0, 0
        return [Embedding(*pair) for pair in zip(hidden, pooled, strict=True)]

    def warm_up(self) -> Embedding:
        """Run all of them once and hold their results to be numbers. Returns an embedding. Raises ModelInvalid."""
        for each in self._encoders:
            try:
                hidden, pooled = each(TRIED)
            except Internal as error:
                raise invalid(each.file, str(error)) from error
            expect_numbers(each.file, hidden, (len(TRIED), each.tokens, each.width))
            expect_numbers(each.file, pooled, (len(TRIED), each.pooled_width))
        return self.embed(TRIED)[1]


class TextEncoder:
    """A tokenizer and its graph. `pooled_width` is 0 when nothing pooled is read."""

    def __init__(self, folder: Path, source: TextSource, card: ModelCard, threads: int) -> None:
        self.source = source
        self.file = f"{source.folder}/model.onnx"
        readable(folder, self.file)
        self._tokenizer, self.tokens = read_tokenizer(folder, source, card.max_tokens)
        self._hidden = hidden = hidden_name(folder, source)
        outputs = {hidden: Tensor(FLOAT, (None, self.tokens, None))}
        if source.pooled:
            outputs[source.pooled] = Tensor(FLOAT, (None, None))
        inputs = {"input_ids": Tensor(INT64, (None, self.tokens))}
        self._graph = Graph(folder, self.file, inputs, outputs, threads)
        self.width = self._graph.width(hidden)
        self.pooled_width = self._graph.width(source.pooled) if source.pooled else 0

    def __call__(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Hidden states (n, tokens, width) and pooled vectors (n, pooled_width). Raises Internal."""
        ids = np.array([encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))], np.int64)
        hidden, *pooled = self._graph(input_ids=ids)
        return hidden, pooled[0] if pooled else np.zeros((len(texts), 0), np.float32)


def hidden_name(folder: Path, source: TextSource) -> str:
    """The output with the hidden states that are read. Raises ModelInvalid."""
    if source.hidden is not Hidden.PENULTIMATE:
        return "last_hidden_state"
    layers = whole_number(folder, f"{source.folder}/config.json", "num_hidden_layers", 1, 1000)
    return f"hidden_states.{layers - 1}"


def read_tokenizer(folder: Path, source: TextSource, max_tokens: int) -> tuple[Tokenizer, int]:
    """A tokenizer, and the ids it makes of every text. Raises ModelInvalid.

    With a tokenizer_config.json it is told here how long texts are and what fills them up; without one it must know itself.
    """
    file, settings = f"{source.tokenizer}/tokenizer.json", f"{source.tokenizer}/tokenizer_config.json"
    read_json(folder, file)
    try:
        tokenizer = Tokenizer.from_file(str(folder / file))
    except Exception as error:  # the tokenizers package raises plain Exception
        raise invalid(file, f"it is not a tokenizer: {error}") from error
    tokens = max_tokens
    if (folder / settings).is_file():
        if source.hidden is Hidden.APPENDED:
            tokens = whole_number(folder, settings, "model_max_length", 1, 1024)
        fit(tokenizer, tokens, read_json(folder, settings), settings)
    lengths = {len(encoding.ids) for encoding in tokenizer.encode_batch(["", "a heart", "a heart " * tokens])}
    if lengths != {tokens}:
        raise invalid(file, f"it makes {sorted(lengths)} ids of three texts; it must make {tokens} of every text")
    return tokenizer, tokens


def fit(tokenizer: Tokenizer, tokens: int, settings: dict[str, Any], file: str) -> None:
    """Have a tokenizer make `tokens` ids of every text, filled up with its padding token. Raises ModelInvalid."""
    pad = settings.get("pad_token")
    pad = pad.get("content") if isinstance(pad, dict) else pad
    pad_id = tokenizer.token_to_id(pad) if isinstance(pad, str) else None
    if pad_id is None:
        raise invalid(file, f"pad_token is {pad!r}, which the tokenizer does not know")
    tokenizer.enable_truncation(tokens)
    tokenizer.enable_padding(length=tokens, pad_id=pad_id, pad_token=pad)


def whole_number(folder: Path, file: str, name: str, least: int, most: int) -> int:
    """A number of a JSON file of the folder. Raises ModelInvalid."""
    value = read_json(folder, file).get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(file, f"{name} is {value!r}; it must be a whole number from {least} to {most}")
    return value
