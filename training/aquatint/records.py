"""Join picture files with their labels: one ``PictureRecord`` for each emoji worth learning."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from training.aquatint.emojibase import names_of, phrase_of, plain_hexcode, read_shortcodes, read_translations
from training.aquatint.fetch import FLAT_PICTURES, LABELS, PICTURES
from training.aquatint.languages import ENGLISH, LANGUAGES, TRANSLATED
from training.aquatint.naming import STYLES, Names, with_lone_words, without_homonyms

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
SOLID, FLAT = STYLES


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


def is_learnable(entry: Mapping[str, Any], subgroup: str) -> bool:
    """Tell whether a label entry names a thing that can be drawn at 32x32."""
    if entry.get("group") in (None, FLAG_GROUP, COMPONENT_GROUP):
        return False
    label = str(entry["label"])
    return subgroup not in SIGN_SUBGROUPS and not CLOCK_FACE.search(label) and not BUTTON.search(label)


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
    english = with_lone_words(
        without_homonyms({hexcode: names for hexcode, (names, _) in kept.items()}), LANGUAGES[ENGLISH], coded
    )
    spoken = {}
    for code, names in (translations or {}).items():
        own = without_homonyms({hexcode: names[hexcode] for hexcode in kept if hexcode in names})
        spoken[code] = with_lone_words(own, LANGUAGES[code])
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


def read_records(cache_dir: Path) -> list[PictureRecord]:
    """Build the records from the fetched packages: all solid pictures, then all flat ones."""
    labels = cache_dir / LABELS.folder / "package"
    english = labels / ENGLISH
    messages = json.loads((english / "messages.json").read_text(encoding="utf-8"))
    subgroup_names = {group["order"]: group["key"] for group in messages["subgroups"]}
    entries = json.loads((english / "data.json").read_text(encoding="utf-8"))
    translations = read_translations(labels, TRANSLATED)
    shortcodes = read_shortcodes(english / "shortcodes")
    solid = build_records(entries, subgroup_names, shortcodes, list_pictures(cache_dir, SOLID), translations)
    return solid + in_flat_style(solid, list_pictures(cache_dir, FLAT))


def list_pictures(cache_dir: Path, style: str) -> list[str]:
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
    return Names(names["label"], *(tuple(names[field]) for field in ("keywords", "alone", "synonyms")))
