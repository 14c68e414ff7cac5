"""Captions name the picture in many ways, and never say a colour that is not there."""

import random
from dataclasses import replace

from training.aquatint.captions import compose_caption, without_colours
from training.aquatint.languages import ENGLISH, LANGUAGES, TRANSLATED
from training.aquatint.palette import COLOUR_NAMES, COLOUR_SYNONYMS
from training.aquatint.records import PictureRecord

DRAWS = 300


def captions_of(record: PictureRecord, colour: str | None, *, recoloured: bool, language: str | None = ENGLISH) -> list[str]:
    chance = random.Random(7)
    return [compose_caption(record, colour, chance, recoloured=recoloured, language=language) for _ in range(DRAWS)]


def test_a_repainted_heart_is_never_called_red(records: list[PictureRecord]) -> None:
    captions = captions_of(records[0], "blue", recoloured=True)
    assert not any("red" in caption.split() for caption in captions)
    assert all("blue" in caption.replace(",", " ").split() for caption in captions)


def test_a_recoloured_picture_without_one_colour_loses_its_colour_word(records: list[PictureRecord]) -> None:
    assert not any("red" in caption.split() for caption in captions_of(records[0], None, recoloured=True))


def test_an_unchanged_picture_keeps_its_label(records: list[PictureRecord]) -> None:
    assert "red heart" in captions_of(records[0], None, recoloured=False)


def test_labels_and_keywords_are_both_asked_for(records: list[PictureRecord]) -> None:
    captions = captions_of(records[1], None, recoloured=False)
    assert any("rocket" in caption for caption in captions)
    assert any(caption.endswith("space") and "rocket" not in caption for caption in captions)


def test_synonyms_of_a_colour_are_used(records: list[PictureRecord]) -> None:
    captions = captions_of(records[1], "gray", recoloured=True)
    for word in ("gray", *COLOUR_SYNONYMS["gray"]):
        assert any(word in caption.replace(",", " ").split() for caption in captions)


def test_a_thing_named_by_a_colour_keeps_its_name() -> None:
    assert without_colours("orange") == "orange"
    assert without_colours("red heart") == "heart"


def test_the_same_seed_gives_the_same_captions(records: list[PictureRecord]) -> None:
    first, second = (captions_of(records[0], "green", recoloured=True) for _ in range(2))
    assert first == second


def test_synonyms_belong_to_known_colours() -> None:
    assert set(COLOUR_SYNONYMS) <= set(COLOUR_NAMES)


def test_other_languages_are_spoken_but_english_most(records: list[PictureRecord]) -> None:
    captions = captions_of(records[1], None, recoloured=False, language=None)
    english = sum("rakete" not in caption and "weltraum" not in caption and "fusée" not in caption for caption in captions)
    assert 0.6 < english / DRAWS < 0.9
    assert any("rakete" in caption for caption in captions)
    assert any("fusée" in caption for caption in captions)


def test_a_colour_stands_where_the_language_puts_it(records: list[PictureRecord]) -> None:
    german = captions_of(records[1], "blue", recoloured=True, language="de")
    french = captions_of(records[1], "blue", recoloured=True, language="fr")
    assert any("blaue rakete" in caption for caption in german)
    assert any("fusée bleue" in caption for caption in french)


def test_a_repainted_heart_is_never_called_red_in_another_language(records: list[PictureRecord]) -> None:
    assert not any("rouge" in caption for caption in captions_of(records[0], "blue", recoloured=True, language="fr"))


def test_every_language_has_a_word_for_every_colour() -> None:
    assert len(TRANSLATED) >= 4
    for language in LANGUAGES.values():
        assert list(language.colours) == list(COLOUR_NAMES)
        assert all(language.colours.values())


def style_share(record: PictureRecord, style: str) -> float:
    captions = captions_of(record, None, recoloured=False)
    return sum(style in caption.replace(",", " ").split() for caption in captions) / DRAWS


def test_what_is_drawn_unless_asked_otherwise_is_solid(records: list[PictureRecord]) -> None:
    solid, flat = records[3], records[4]
    assert 0 < style_share(solid, "3d") < 0.3
    assert style_share(solid, "flat") == 0
    assert style_share(flat, "flat") == 1
    assert style_share(flat, "3d") == 0


def test_a_keyword_that_means_another_picture_never_stands_alone(records: list[PictureRecord]) -> None:
    captions = captions_of(records[1], None, recoloured=False)
    assert not any("launch" in caption and "rocket" not in caption for caption in captions)
    assert any("launch" in caption for caption in captions)


def test_a_synonym_is_asked_for_often_and_a_picture_without_one_by_its_label(records: list[PictureRecord]) -> None:
    ghost = replace(records[3], english=replace(records[3].english, keywords=("creature", "boo"), synonyms=("boo",)))
    with_one = captions_of(ghost, None, recoloured=False)
    without = captions_of(records[3], None, recoloured=False)
    assert sum("ghost" not in caption and "boo" in caption for caption in with_one) / DRAWS > 0.1
    assert sum("ghost" in caption for caption in without) > sum("ghost" in caption for caption in with_one)


def test_a_style_stands_where_people_put_it(records: list[PictureRecord]) -> None:
    captions = captions_of(records[4], None, recoloured=False)
    assert "a flat ghost" in captions
    assert not any(caption.startswith("flat a") for caption in captions)
