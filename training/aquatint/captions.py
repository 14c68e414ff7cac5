"""Write captions: many ways to ask for one picture, with colour words that tell the truth.

``python -m training.aquatint.captions [--cache DIR]`` writes ``records.jsonl`` and ``tokenizer.json``.
"""

import argparse
import random
from pathlib import Path

from training.aquatint.locations import default_cache_dir
from training.aquatint.palette import COLOUR_NAMES, COLOUR_SYNONYMS, COLOUR_WORDS
from training.aquatint.records import PictureRecord, read_records, record_from_json, record_to_json
from training.aquatint.tokenizer import train_tokenizer

RECORDS_FILE = "records.jsonl"
TOKENIZER_FILE = "tokenizer.json"
PREFIXES = ("", "", "", "", "", "a ", "an emoji of ", "a picture of ", "emoji: ")
LABEL_SHARE = 0.6
SYNONYM_SHARE = 0.2


def without_colours(phrase: str) -> str:
    """Drop colour words, unless nothing would be left ("orange", the fruit)."""
    kept = " ".join(word for word in phrase.split() if word.strip(",:") not in COLOUR_WORDS)
    return kept or phrase


def colour_word(colour: str, chance: random.Random) -> str:
    """Return the colour's name, now and then a synonym."""
    synonyms = COLOUR_SYNONYMS.get(colour, ())
    if synonyms and chance.random() < SYNONYM_SHARE:
        return chance.choice(synonyms)
    return colour


def subject_of(record: PictureRecord, chance: random.Random) -> str:
    """Choose what to call the picture: its label, mostly, or a keyword or two."""
    if not record.keywords or chance.random() < LABEL_SHARE:
        return record.label
    keyword = chance.choice(record.keywords)
    style = chance.random()
    if style < 0.45:
        return keyword
    return f"{record.label}, {keyword}" if style < 0.8 else f"{keyword} {record.label}"


def compose_caption(record: PictureRecord, colour: str | None, chance: random.Random, *, recoloured: bool = False) -> str:
    """Compose one caption.

    ``colour`` is the paint that dominates the picture as it will be shown, if one does. A recoloured
    picture loses the colour words of its label, because they have stopped being true.
    """
    subject = subject_of(record, chance)
    if recoloured:
        subject = without_colours(subject)
    if colour is not None:
        subject = f"{colour_word(colour, chance)} {without_colours(subject)}"
    return chance.choice(PREFIXES) + subject


def caption_corpus(records: list[PictureRecord], seed: int = 0) -> list[str]:
    """Return the text that the tokenizer learns from: phrases as asked for, colours included."""
    chance = random.Random(seed)
    corpus = [prefix + word for prefix in set(PREFIXES) for word in sorted(COLOUR_WORDS)]
    for record in records:
        corpus += [record.label] * 3
        corpus += list(record.keywords)
        corpus.append(compose_caption(record, chance.choice(COLOUR_NAMES), chance))
    return corpus


def load_records(cache_dir: Path) -> list[PictureRecord]:
    """Read the records written by ``main``."""
    lines = (cache_dir / RECORDS_FILE).read_text(encoding="utf-8").splitlines()
    return [record_from_json(line) for line in lines]


def main() -> None:
    """Write the records and the tokenizer into the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache_dir())
    arguments = parser.parse_args()
    records = read_records(arguments.cache)
    text = "\n".join(map(record_to_json, records)) + "\n"
    (arguments.cache / RECORDS_FILE).write_text(text, encoding="utf-8")
    tokenizer = train_tokenizer(caption_corpus(records))
    tokenizer.save(str(arguments.cache / TOKENIZER_FILE))
    print(f"{len(records)} pictures, {tokenizer.get_vocab_size()} tokens", flush=True)


if __name__ == "__main__":
    main()
