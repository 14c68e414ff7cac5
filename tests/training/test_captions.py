"""Captions name the picture in many ways, and never say a colour that is not there."""

import random

from training.aquatint.captions import compose_caption, without_colours
from training.aquatint.palette import COLOUR_NAMES, COLOUR_SYNONYMS
from training.aquatint.records import PictureRecord

DRAWS = 300


def captions_of(record: PictureRecord, colour: str | None, *, recoloured: bool) -> list[str]:
    chance = random.Random(7)
    return [compose_caption(record, colour, chance, recoloured=recoloured) for _ in range(DRAWS)]


def test_a_repainted_heart_is_never_called_red(records: list[PictureRecord]) -> None:
    captions = captions_of(records[0], "blue", recoloured=True)
    assert not any("red" in caption.split() for caption in captions)
    assert all("blue" in caption.split() for caption in captions)


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
        assert any(word in caption.split() for caption in captions)


def test_a_thing_named_by_a_colour_keeps_its_name() -> None:
    assert without_colours("orange") == "orange"
    assert without_colours("red heart") == "heart"


def test_the_same_seed_gives_the_same_captions(records: list[PictureRecord]) -> None:
    first, second = (captions_of(records[0], "green", recoloured=True) for _ in range(2))
    assert first == second


def test_synonyms_belong_to_known_colours() -> None:
    assert set(COLOUR_SYNONYMS) <= set(COLOUR_NAMES)
