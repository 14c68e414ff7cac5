"""The byte-level sub-word tokenizer: nothing is unknown, every prompt is 24 ids.

Byte-level BPE after Radford et al. 2019 (GPT-2), on lower-cased NFC text.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

MAX_TOKENS = 24
VOCABULARY_SIZE = 6144
TOKENIZER_FILE = "tokenizer.json"
PAD_TOKEN, START_TOKEN = "<pad>", "<start>"
PAD_ID, START_ID = 0, 1


def train_tokenizer(captions: Iterable[str], vocabulary_size: int = VOCABULARY_SIZE) -> Tokenizer:
    """Learn merges from captions; the result pads and truncates to ``MAX_TOKENS`` ids.

    Every sequence opens with the start token, so the empty (unconditional) prompt is
    ``[START_ID, PAD_ID, ...]``.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[PAD_TOKEN, START_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START_TOKEN} $A", special_tokens=[(START_TOKEN, START_ID)]
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(length=MAX_TOKENS, pad_id=PAD_ID, pad_token=PAD_TOKEN)
    return tokenizer


def tokenizer_file(cache_dir: Path, run_dir: Path) -> Path:
    """Return the run's own tokenizer, made from the cache's when the run begins: ids and weights stay together."""
    own = run_dir / TOKENIZER_FILE
    if not own.exists():
        run_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(cache_dir / TOKENIZER_FILE, own)
    return own
