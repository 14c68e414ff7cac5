"""Read the names of emoji from the emojibase package: labels, keywords and shortcodes, keyed by plain hexcode."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from training.aquatint.naming import Names

VARIATION_SELECTOR = "fe0f"
LETTERS = re.compile(r"[^\W\d_]{2}")


def plain_hexcode(hexcode: str) -> str:
    """Drop the variation selectors, which the two packages write differently."""
    return "-".join(part for part in hexcode.lower().split("-") if part != VARIATION_SELECTOR)


def phrase_of(shortcode: str) -> str:
    """Turn "evergreen_tree" into words."""
    return shortcode.replace("_", " ").replace("-", " ").lower().strip()


def keywords_of(entry: Mapping[str, Any], shortcodes: Iterable[str]) -> tuple[str, ...]:
    """Merge tags and shortcodes into distinct lower-case phrases, without the label."""
    phrases = [str(tag) for tag in entry.get("tags", [])]
    phrases += map(phrase_of, shortcodes)
    label = str(entry["label"]).lower()
    distinct = dict.fromkeys(phrase.lower().strip() for phrase in phrases)
    return tuple(phrase for phrase in distinct if LETTERS.search(phrase) and phrase != label)


def names_of(entry: Mapping[str, Any], shortcodes: Iterable[str] = ()) -> Names:
    """Return an entry's label and keywords in lower case."""
    return Names(str(entry["label"]).lower(), keywords_of(entry, shortcodes))


def read_translations(folder: Path, codes: Iterable[str]) -> dict[str, dict[str, Names]]:
    """Read the names in other languages, by code and plain hexcode."""
    spoken: dict[str, dict[str, Names]] = {}
    for code in codes:
        entries = json.loads((folder / code / "data.json").read_text(encoding="utf-8"))
        spoken[code] = {plain_hexcode(str(entry["hexcode"])): names_of(entry) for entry in entries}
    return spoken


def read_shortcodes(folder: Path) -> dict[str, list[str]]:
    """Collect the shortcodes of all presets, keyed by plain hexcode."""
    merged: dict[str, list[str]] = {}
    for name in ("cldr", "emojibase", "github", "iamcal", "joypixels"):
        table = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for hexcode, codes in table.items():
            merged.setdefault(plain_hexcode(hexcode), []).extend([codes] if isinstance(codes, str) else codes)
    return merged
