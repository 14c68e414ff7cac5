"""Writes a pipeline's folder as one that the inference service loads: whole and checked, or not at all."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mezzotint.export.graph_file import INLINE_BYTES_MAX, write
from mezzotint.export.parts import Part
from mezzotint.export.refusal import ExportRefused
from mezzotint.export.source import CONFIG, INDEX, Source, Text
from mezzotint.inference.models.card import SCHEDULER, read_scheduler
from mezzotint.runtime.errors import ModelInvalid

# The source's folder of an autoencoder's two halves.
HALVES = {"vae_decoder": "vae", "vae_encoder": "vae"}
# Names of the machine that a configuration was made on.
NOT_COPIED = {"_name_or_path"}


def export(
    source_folder: Path,
    output: Path,
    *,
    precision: str = "float32",
    inline_bytes_max: int = INLINE_BYTES_MAX,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Write `source_folder`, a diffusers pipeline, to `output`, which must not exist yet or be an empty folder.

    `precision` is "float32", "float16" or "int8"; graphs with more bytes of weights than `inline_bytes_max` keep them in a file
    of their own. Raises ExportRefused; nothing is left at `output` then.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ExportRefused(f"{output} is there already; name a folder that is not, or is empty")
    source = Source(source_folder)
    try:
        # What it is drawn with must be served too: better known before hours of work than after.
        read_scheduler(source_folder)
    except ModelInvalid as error:
        raise ExportRefused(error.message) from error
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        for part in source.parts():
            written = write(part, partial / part.folder, precision_of(source, part, precision), inline_bytes_max)
            _write_json(partial / part.folder / CONFIG, source.json(f"{HALVES.get(part.folder, part.folder)}/{CONFIG}"))
            tell(f"{written.file}: {written.size_bytes / 1e6:.1f} MB, off by {written.difference:.1e} of its output")
        for text in source.texts:
            _write_tokenizer(source, text, partial / text.tokenizer)
        _write_json(partial / SCHEDULER, source.json(SCHEDULER))
        _write_json(partial / INDEX, _index(source, partial))
        partial.chmod(0o755)
        partial.replace(output)
    except OSError as error:
        raise ExportRefused(f"{output} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def precision_of(source: Source, part: Part, precision: str) -> str:
    """A part's precision: the autoencoder stays in float32 where float16 would overflow, and is never rounded to int8."""
    if part.folder not in HALVES:
        return precision
    upcast = source.json(f"vae/{CONFIG}").get("force_upcast", True)
    return "float16" if precision == "float16" and not upcast else "float32"


def _write_tokenizer(source: Source, text: Text, folder: Path) -> None:
    """The tokenizer with the padding and truncation that its encoder needs, and a configuration that says both."""
    tokenizer = source.tokenizer(text)
    pad = tokenizer.pad_token or tokenizer.eos_token
    if pad is None:
        raise ExportRefused(f"{text.tokenizer}: it has no token to fill texts up with; set pad_token in tokenizer_config.json")
    inner, pad_id = tokenizer.backend_tokenizer, tokenizer.convert_tokens_to_ids(pad)
    inner.enable_truncation(text.tokens)
    inner.enable_padding(length=text.tokens, pad_id=pad_id, pad_token=pad)
    folder.mkdir()
    inner.save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", {"model_max_length": text.tokens, "pad_token": pad, "pad_token_id": pad_id})


def _index(source: Source, written: Path) -> dict[str, Any]:
    """The source's index with what was written; the autoencoder in two halves."""
    kept = {name: value for name, value in source.index.items() if not isinstance(value, list) and name not in NOT_COPIED}
    parts = {path.parent.name: ["onnxruntime", "InferenceSession"] for path in sorted(written.glob("*/model.onnx"))}
    others = {text.tokenizer: ["tokenizers", "Tokenizer"] for text in source.texts}
    return {**kept, **parts, **others, "scheduler": source.index.get("scheduler")}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in content.items() if name not in NOT_COPIED}
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
