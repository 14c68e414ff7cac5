"""Join picture files with their labels: one ``PictureRecord`` for each emoji worth learning."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.aquatint.fetch import LABELS, PICTURES
from training.aquatint.languages import ENGLISH, TRANSLATED

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
LETTERS = re.compile(r"[^\W\d_]{2}")


@dataclass(frozen=True)
class Names:
    """What one language calls a picture."""

    label: str
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True)
class PictureRecord:
    """One picture and everything people call it; ``translations`` maps other languages' codes to their names."""

    hexcode: str
    file_name: str
    label: str
    keywords: tuple[str, ...]
    subgroup: str
    translations: Mapping[str, Names] = field(default_factory=dict)

    def names(self, language: str) -> Names:
        """Return the names in ``language``, the English ones where it has none."""
        return self.translations.get(language) or Names(self.label, self.keywords)


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
    phrases += [code.replace("_", " ").replace("-", " ") for code in shortcodes]
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
    english = without_homonyms({hexcode: names for hexcode, (names, _) in kept.items()})
    spoken = {
        code: without_homonyms({hexcode: names[hexcode] for hexcode in kept if hexcode in names})
        for code, names in (translations or {}).items()
    }
    return [
        PictureRecord(
            hexcode,
            files[hexcode],
            english[hexcode].label,
            english[hexcode].keywords,
            subgroup,
            {code: names[hexcode] for code, names in spoken.items() if hexcode in names},
        )
        for hexcode, (_, subgroup) in sorted(kept.items())
    ]


def names_of(entry: Mapping[str, Any], shortcodes: Iterable[str] = ()) -> Names:
    """Return an entry's label and keywords in lower case."""
    return Names(str(entry["label"]).lower(), keywords_of(entry, shortcodes))


def without_homonyms(named: Mapping[str, Names]) -> dict[str, Names]:
    """Drop the keywords that are another picture's label: "star" shall mean the star, not the face with starry eyes."""
    labels = {names.label for names in named.values()}
    return {
        hexcode: Names(names.label, tuple(word for word in names.keywords if word not in labels))
        for hexcode, names in named.items()
    }


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
    """Build the records from the fetched packages."""
    labels = cache_dir / LABELS.folder / "package"
    english = labels / ENGLISH
    messages = json.loads((english / "messages.json").read_text(encoding="utf-8"))
    subgroup_names = {group["order"]: group["key"] for group in messages["subgroups"]}
    entries = json.loads((english / "data.json").read_text(encoding="utf-8"))
    files = sorted(path.name for path in picture_folder(cache_dir).glob("*.webp"))
    translations = read_translations(labels, TRANSLATED)
    return build_records(entries, subgroup_names, read_shortcodes(english / "shortcodes"), files, translations)


def picture_folder(cache_dir: Path) -> Path:
    """Return the folder of 256x256 webp pictures."""
    return cache_dir / PICTURES.folder / "package" / "assets"


def record_to_json(record: PictureRecord) -> str:
    """Write a record as one line of JSON."""
    return json.dumps(asdict(record), ensure_ascii=False)


def record_from_json(line: str) -> PictureRecord:
    """Read a record back from its line of JSON."""
    fields = json.loads(line)
    spoken = {code: Names(names["label"], tuple(names["keywords"])) for code, names in fields.pop("translations").items()}
    return PictureRecord(**{**fields, "keywords": tuple(fields["keywords"])}, translations=spoken)
