"""Whose word a word is: "apple" alone means one picture, not the mean of all that have to do with apples."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from training.aquatint.languages import Language

SHARED_MAX = 6  # pictures; the draft of more is a blur
STYLES = ("3d", "flat")  # as captions name them


@dataclass(frozen=True)
class Names:
    """What one language calls a picture.

    ``alone`` are the words that mean it without its label beside them; ``synonyms`` those of them that mean no other.
    """

    label: str
    keywords: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()


def without_homonyms(named: Mapping[str, Names]) -> dict[str, Names]:
    """Drop the keywords that are another picture's label: "star" shall mean the star, not the face with starry eyes."""
    labels = {names.label for names in named.values()}
    return {
        hexcode: replace(names, keywords=tuple(word for word in names.keywords if word not in labels))
        for hexcode, names in named.items()
    }


def with_lone_words(
    named: Mapping[str, Names], language: Language, shortcodes: Mapping[str, Iterable[str]] | None = None
) -> dict[str, Names]:
    """Find the words that may stand alone; ``named`` and ``shortcodes`` are keyed by picture.

    A word belongs to the picture that the language means by it, else to the first that has it as a shortcode. One that few
    pictures share belongs to the first whose label it heads (of five trees one is "tree"), or to all of them if it heads none
    of theirs. What many share ("animal") names none, nor does a colour or a style.
    """
    owners = dict(language.familiar)
    for hexcode in sorted(named):
        for code in (shortcodes or {}).get(hexcode, ()):
            owners.setdefault(code, hexcode)
    shared = Counter(word for names in named.values() for word in names.keywords)
    heads: dict[str, str] = {}
    for hexcode in sorted(named):
        heads.setdefault(head_of(named[hexcode].label, language), hexcode)
    never = language.colour_words.union(STYLES)

    def stands_alone(word: str, hexcode: str) -> bool:
        if word in owners:
            return owners[word] == hexcode
        return shared[word] <= SHARED_MAX and word not in never and heads.get(word, hexcode) == hexcode

    alone = {hexcode: [word for word in names.keywords if stands_alone(word, hexcode)] for hexcode, names in named.items()}
    for word, hexcode in language.familiar.items():
        if hexcode in alone and word not in (named[hexcode].label, *alone[hexcode]):
            alone[hexcode].append(word)
    means = heads | owners
    return {
        hexcode: replace(
            names, alone=tuple(alone[hexcode]), synonyms=tuple(word for word in alone[hexcode] if means.get(word) == hexcode)
        )
        for hexcode, names in named.items()
    }


def head_of(label: str, language: Language) -> str:
    """Return the word that the rest of a label describes: "tree" of "evergreen tree", "face" of "face with sunglasses"."""
    words = label.split()
    joints = [place for place, word in enumerate(words) if word in language.joints and place]
    phrase = words[: joints[0]] if joints else words
    return (phrase[-1] if language.colour_first else phrase[0]) if phrase else ""
