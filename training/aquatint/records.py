"""Join picture files with their labels: one ``PictureRecord`` for each emoji worth learning."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from training.aquatint.fetch import FLAT_PICTURES, LABELS, PICTURES
from training.aquatint.languages import ENGLISH, LANGUAGES, TRANSLATED
from training.aquatint.naming import Names, with_lone_words, without_homonyms

FLAG_GROUP = 9
COMPONENT_GROUP = 2
# Lettering cannot be drawn at 32x32, and signs all look alike: they teach only blue squares.
SIGN_SUBGROUPS = frozenset(
    {
        "transport-sign",
        "arrow",
        "zodiac",
        "av-symbol",
        "gender",
        "keycap",
        "alphanum",
    }
)
CLOCK_FACE = re.compile(r"o[’']clock|-thirty")
BUTTON = re.compile(r"\bbutton\b")
VARIATION_SELECTOR = "fe0f"
SOLID, FLAT = "3d", "flat"  # the styles, as captions name them
LETTERS = re.compile(r"[^\W\d_]{2}")


@dataclass(frozen=True)
class PictureRecord:
    """One picture and everything people call it; ``translations`` maps other languages' codes to their names."""

    hexcode: str
    file_name: str
    english: Names
    subgroup: str
    translations: Mapping[str, Names] = field(default_factory=dict)
    style: str = SOLID

    @property
    def label(self) -> str:
        """The English label."""
        return self.english.label

    def names(self, language: str) -> Names:
        """Return the names in ``language``, the English ones where it has none."""
        return self.translations.get(language) or self.english


def plain_hexcode(hexcode: str) -> str:
    """Drop the variation selectors, which the two packages write differently."""
    return "-".join(part for part in hexcode.lower().split("-") if part != VARIATION_SELECTOR)


def is_learnable(entry: Mapping[str, Any], subgroup: str) -> bool:
    """Tell whether a label entry names a thing that can be drawn at 32x32."""
    if entry.get("group") in (None, FLAG_GROUP, COMPONENT_GROUP):
        return False
    label = str(entry["label"])
    return subgroup not in SIGN_SUBGROUPS and not CLOCK_FACE.search(label) and not BUTTON.search(label)


def keywords_of(entry: Mapping[str, Any], shortcodes: Iterable[str]) -> tuple[str, ...]:
    """Merge tags and shortcodes into distinct lower-case phrases, without the label."""
    phrases = [str(tag) for tag in entry.get("tags", [])]
    phrases += map(phrase_of, shortcodes)
    label = str(entry["label"]).lower()
    distinct = dict.fromkeys(phrase.lower().strip() for phrase in phrases)
    return tuple(phrase for phrase in distinct if LETTERS.search(phrase) and phrase != label)


def build_records(
    entries: Iterable[Mapping[str, Any]],
    subgroup_names: Mapping[int, str],
    shortcodes: Mapping[str, Iterable[str]],
    file_names: Iterable[str],
    translations: Mapping[str, Mapping[str, Names]] | None = None,
) -> list[PictureRecord]:
    """Return the learnable entries that have a picture, in the order of their hexcodes.

    ``translations`` maps a language's code to its names by plain hexcode.
    """
    files = {plain_hexcode(Path(name).stem): name for name in file_names}
    kept = {}
    for entry in entries:
        hexcode = plain_hexcode(str(entry["hexcode"]))
        subgroup = subgroup_names.get(entry.get("subgroup", -1), "")
        if hexcode in files and is_learnable(entry, subgroup):
            kept[hexcode] = (names_of(entry, shortcodes.get(hexcode, ())), subgroup)
    coded = {hexcode: tuple(map(phrase_of, codes)) for hexcode, codes in shortcodes.items()}
    english = with_lone_words(without_homonyms({hexcode: names for hexcode, (names, _) in kept.items()}), coded)
    spoken = {}
    for code, names in (translations or {}).items():
        own = without_homonyms({hexcode: names[hexcode] for hexcode in kept if hexcode in names})
        spoken[code] = with_lone_words(own, {}, head_last=LANGUAGES[code].colour_first)
    return [
        PictureRecord(
            hexcode,
            files[hexcode],
            english[hexcode],
            subgroup,
            {code: names[hexcode] for code, names in spoken.items() if hexcode in names},
        )
        for hexcode, (_, subgroup) in sorted(kept.items())
    ]


def in_flat_style(records: Iterable[PictureRecord], file_names: Iterable[str]) -> list[PictureRecord]:
    """Return the same things as the flat pictures show them, where there is one."""
    files = {plain_hexcode(Path(name).stem): name for name in file_names}
    return [replace(record, file_name=files[record.hexcode], style=FLAT) for record in records if record.hexcode in files]


def phrase_of(shortcode: str) -> str:
    """Turn "evergreen_tree" into words."""
    return shortcode.replace("_", " ").replace("-", " ").lower().strip()


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


def read_records(cache_dir: Path) -> list[PictureRecord]:
    """Build the records from the fetched packages: all solid pictures, then all flat ones."""
    labels = cache_dir / LABELS.folder / "package"
    english = labels / ENGLISH
    messages = json.loads((english / "messages.json").read_text(encoding="utf-8"))
    subgroup_names = {group["order"]: group["key"] for group in messages["subgroups"]}
    entries = json.loads((english / "data.json").read_text(encoding="utf-8"))
    translations = read_translations(labels, TRANSLATED)
    shortcodes = read_shortcodes(english / "shortcodes")
    solid = build_records(entries, subgroup_names, shortcodes, file_names(cache_dir, SOLID), translations)
    return solid + in_flat_style(solid, file_names(cache_dir, FLAT))


def file_names(cache_dir: Path, style: str) -> list[str]:
    """List the pictures of one style, sorted."""
    return sorted(path.name for path in picture_folder(cache_dir, style).iterdir())


def picture_folder(cache_dir: Path, style: str) -> Path:
    """Return the folder of one style's pictures: 256x256 webp, or svg."""
    package = {SOLID: PICTURES, FLAT: FLAT_PICTURES}[style]
    return cache_dir / package.folder / "package" / "assets"


def record_to_json(record: PictureRecord) -> str:
    """Write a record as one line of JSON."""
    return json.dumps(asdict(record), ensure_ascii=False)


def record_from_json(line: str) -> PictureRecord:
    """Read a record back from its line of JSON."""
    fields = json.loads(line)
    spoken = {code: names_from_json(names) for code, names in fields.pop("translations").items()}
    return PictureRecord(**{**fields, "english": names_from_json(fields["english"])}, translations=spoken)


def names_from_json(names: Mapping[str, Any]) -> Names:
    """Read names back from an object of JSON."""
    return Names(names["label"], tuple(names["keywords"]), tuple(names["alone"]))
