"""Labels and picture files are joined; what cannot be drawn at 32x32 is left out."""

from typing import Any

from training.aquatint.naming import Names
from training.aquatint.records import FLAT, PictureRecord, build_records, in_flat_style, record_from_json, record_to_json

SUBGROUPS = {14: "heart", 56: "transport-air", 58: "time", 88: "av-symbol", 97: "flag"}
ENTRIES: list[dict[str, Any]] = [
    {"label": "Rocket", "hexcode": "1F680", "group": 5, "subgroup": 56, "tags": ["space", "Rocket", "Space"]},
    {"label": "red heart", "hexcode": "2764", "group": 0, "subgroup": 14, "tags": ["love"]},
    {"label": "one o’clock", "hexcode": "1F550", "group": 5, "subgroup": 58, "tags": []},
    {"label": "watch", "hexcode": "231A", "group": 5, "subgroup": 58, "tags": []},
    {"label": "play button", "hexcode": "25B6", "group": 8, "subgroup": 88, "tags": []},
    {"label": "chequered flag", "hexcode": "1F3C1", "group": 9, "subgroup": 97, "tags": []},
    {"label": "ghost without picture", "hexcode": "1F47B", "group": 0, "subgroup": 14, "tags": []},
    {"label": "regional indicator A", "hexcode": "1F1E6"},
]
FILES = ["1f680.webp", "2764-fe0f.webp", "1f550.webp", "231a.webp", "25b6-fe0f.webp", "1f3c1.webp", "1f1e6.webp"]


def test_only_what_can_be_drawn_and_has_a_picture_is_kept() -> None:
    records = build_records(ENTRIES, SUBGROUPS, {}, FILES)
    assert [record.label for record in records] == ["rocket", "watch", "red heart"]


def test_a_variation_selector_in_one_source_only_does_not_part_a_pair() -> None:
    records = build_records(ENTRIES, SUBGROUPS, {}, FILES)
    assert records[-1].file_name == "2764-fe0f.webp"


def test_keywords_are_lower_case_distinct_and_not_the_label() -> None:
    rocket = build_records(ENTRIES, SUBGROUPS, {"1f680": ["rocket_ship", "rocket"]}, FILES)[0]
    assert rocket.english.keywords == ("space", "rocket ship")


def test_a_keyword_that_is_the_label_of_another_picture_is_dropped() -> None:
    rocket = build_records(ENTRIES, SUBGROUPS, {"1f680": ["watch", "launch"]}, FILES)[0]
    assert rocket.english.keywords == ("space", "launch")


def test_names_in_other_languages_are_kept_where_there_are_any() -> None:
    spoken = {
        "de": {"1f680": Names("rakete", ("weltraum", "armbanduhr")), "231a": Names("armbanduhr")},
        "fr": {"231a": Names("montre")},
    }
    rocket, watch, heart = build_records(ENTRIES, SUBGROUPS, {}, FILES, spoken)
    assert rocket.names("de") == Names("rakete", ("weltraum",), ("weltraum",))
    assert rocket.names("fr") == Names("rocket", ("space",), ("space",))
    assert watch.names("fr") == Names("montre")
    assert not heart.translations


def test_a_record_survives_its_line_of_json(records: list[PictureRecord]) -> None:
    assert [record_from_json(record_to_json(record)) for record in records] == records


def test_a_flat_picture_has_the_names_of_the_solid_one() -> None:
    solid = build_records(ENTRIES, SUBGROUPS, {}, FILES)
    flat = in_flat_style(solid, ["1f680.svg", "2764-fe0f.svg", "1f9ff.svg"])
    assert [(record.label, record.file_name, record.style) for record in flat] == [
        ("rocket", "1f680.svg", FLAT),
        ("red heart", "2764-fe0f.svg", FLAT),
    ]
    assert flat[0].english == solid[0].english
