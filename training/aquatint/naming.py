"""Whose word a word is: "apple" alone means one picture, not the mean of all that have to do with apples."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Names:
    """What one language calls a picture; ``alone`` are the keywords that mean it without its label beside them."""

    label: str
    keywords: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()


def without_homonyms(named: Mapping[str, Names]) -> dict[str, Names]:
    """Drop the keywords that are another picture's label: "star" shall mean the star, not the face with starry eyes."""
    labels = {names.label for names in named.values()}
    return {
        hexcode: replace(names, keywords=tuple(word for word in names.keywords if word not in labels))
        for hexcode, names in named.items()
    }


def with_lone_words(
    named: Mapping[str, Names], shortcodes: Mapping[str, Iterable[str]], *, head_last: bool = True
) -> dict[str, Names]:
    """Find the keywords that may stand alone, ``named`` and ``shortcodes`` being keyed by picture.

    A word belongs to the first picture that has it as a shortcode, else to the first whose label it heads (as the last
    word in English, ``head_last``): of many trees one is "tree". A word that heads no label ("love") belongs to all who
    have it.
    """
    owners: dict[str, str] = {}
    for hexcode in sorted(named):
        for code in shortcodes.get(hexcode, ()):
            owners.setdefault(code, hexcode)
    for hexcode in sorted(named):
        words = named[hexcode].label.split()
        if words:
            owners.setdefault(words[-1 if head_last else 0], hexcode)
    return {
        hexcode: replace(names, alone=tuple(word for word in names.keywords if owners.get(word, hexcode) == hexcode))
        for hexcode, names in named.items()
    }
