"""Write captions: many ways to ask for one picture, with colour words that tell the truth.

``python -m training.aquatint.captions [--cache DIR]`` writes ``records.jsonl`` and ``tokenizer.json``.
"""

import argparse
import random
from pathlib import Path

from training.aquatint.languages import ENGLISH, LANGUAGES
from training.aquatint.locations import default_cache_dir
from training.aquatint.naming import Names
from training.aquatint.palette import COLOUR_NAMES
from training.aquatint.records import FLAT, SOLID, PictureRecord, read_records, record_from_json, record_to_json
from training.aquatint.tokenizer import TOKENIZER_FILE, train_tokenizer

RECORDS_FILE = "records.jsonl"
BARE_SHARE = 0.6  # captions without "a picture of" or the like
LABEL_SHARE, SYNONYM_LABEL_SHARE = 0.65, 0.15  # the second out of the first, where there are synonyms
ALONE_SHARE, COMMA_SHARE = 0.45, 0.8  # of the other captions: below the first a keyword alone, below the second after the label
SYNONYM_SHARE = 0.2
ENGLISH_SHARE = 0.75
# A caption without a style is a solid picture's: that is what is drawn unless something else is asked for.
STYLE_SHARES = {SOLID: 0.1, FLAT: 1.0}
STYLED = (
    "{opening}{style} {subject}",
    "{opening}{subject}, {style}",
    "{subject}, {style} style",
    "{opening}{subject} in {style}",
)


def without_colours(phrase: str, language: str = ENGLISH) -> str:
    """Drop colour words, unless nothing would be left ("orange", the fruit)."""
    colours = LANGUAGES[language].colour_words
    kept = " ".join(word for word in phrase.split() if word.strip(",:") not in colours)
    return kept or phrase


def colour_word(colour: str, chance: random.Random, language: str = ENGLISH) -> str:
    """Return a word for the colour: in English its name, now and then a synonym; else any inflected form."""
    name, *synonyms = LANGUAGES[language].colours[colour]
    if language == ENGLISH:
        return chance.choice(synonyms) if synonyms and chance.random() < SYNONYM_SHARE else name
    return chance.choice([name, *synonyms])


def subject_of(names: Names, chance: random.Random) -> str:
    """Choose what to call the picture: its label, mostly, a synonym, or a keyword, alone only where that means this picture."""
    lot = chance.random()
    if names.synonyms and lot < SYNONYM_LABEL_SHARE:
        return chance.choice(names.synonyms)
    if not names.keywords or lot < LABEL_SHARE:
        return names.label
    way = chance.random()
    if names.alone and way < ALONE_SHARE:
        return chance.choice(names.alone)
    keyword = chance.choice(names.keywords)
    return f"{names.label}, {keyword}" if way < COMMA_SHARE else f"{keyword} {names.label}"


def choose_language(record: PictureRecord, chance: random.Random) -> str:
    """English mostly, else one of the languages that name this picture."""
    if not record.translations or chance.random() < ENGLISH_SHARE:
        return ENGLISH
    return chance.choice(sorted(record.translations))


def compose_caption(
    record: PictureRecord, colour: str | None, chance: random.Random, *, recoloured: bool = False, language: str | None = None
) -> str:
    """Compose one caption, in ``language`` or in one drawn by chance.

    ``colour`` is the paint that dominates the picture as it will be shown, if one does. A recoloured
    picture loses the colour words of its label, because they have stopped being true.
    """
    spoken = language or choose_language(record, chance)
    subject = subject_of(record.names(spoken), chance)
    if recoloured:
        subject = without_colours(subject, spoken)
    if colour is not None:
        word, bare = colour_word(colour, chance, spoken), without_colours(subject, spoken)
        subject = f"{word} {bare}" if LANGUAGES[spoken].colour_first else f"{bare} {word}"
    opening = "" if chance.random() < BARE_SHARE else chance.choice(LANGUAGES[spoken].prefixes)
    if chance.random() >= STYLE_SHARES[record.style]:
        return opening + subject
    return chance.choice(STYLED).format(opening=opening, subject=subject, style=record.style)


def caption_corpus(records: list[PictureRecord], seed: int = 0) -> list[str]:
    """Return the text that the tokenizer learns from: phrases as asked for, colours included, English most."""
    chance = random.Random(seed)
    corpus = []
    for code, language in LANGUAGES.items():
        corpus += [prefix + word for prefix in language.prefixes for word in sorted(language.colour_words)]
        for record in records:
            names = record.names(code)
            corpus += [names.label] * (24 if code == ENGLISH else 2)  # so that a label's words are whole pieces
            corpus += list(names.keywords) * (3 if code == ENGLISH else 1)
    for record in records:
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
