"""A word alone means one picture: the one that everybody means, the one that is called so, or the first that it heads."""

from dataclasses import replace

import pytest

from training.aquatint.languages import ENGLISH, LANGUAGES
from training.aquatint.naming import SHARED_MAX, Names, head_of, with_lone_words, without_homonyms

EN = replace(LANGUAGES[ENGLISH], familiar={})
TREES = {
    "1f332": Names("evergreen tree", ("tree", "christmas", "forest")),
    "1f333": Names("deciduous tree", ("tree", "forest")),
    "1f384": Names("christmas tree", ("tree", "celebration")),
}


def owners(named: dict[str, Names], word: str) -> list[str]:
    return [hexcode for hexcode, names in named.items() if word in names.alone]


def test_of_many_trees_one_is_tree() -> None:
    assert owners(with_lone_words(TREES, EN), "tree") == ["1f332"]


def test_what_everybody_means_comes_before_what_comes_first() -> None:
    assert owners(with_lone_words(TREES, replace(EN, familiar={"tree": "1f384"})), "tree") == ["1f384"]


def test_a_familiar_word_need_not_be_a_keyword() -> None:
    assert owners(with_lone_words(TREES, replace(EN, familiar={"pine": "1f332"})), "pine") == ["1f332"]


def test_a_word_that_heads_no_label_belongs_to_all_who_have_it() -> None:
    assert owners(with_lone_words(TREES, EN), "forest") == ["1f332", "1f333"]


def test_a_synonym_means_one_picture_only() -> None:
    named = with_lone_words(TREES, replace(EN, familiar={"fir": "1f332"}), {"1f384": ["celebration"]})
    assert named["1f332"].synonyms == ("tree", "fir")
    assert named["1f332"].alone == ("tree", "christmas", "forest", "fir")
    assert named["1f333"].synonyms == ()
    assert named["1f384"].synonyms == ("celebration",)


def test_a_word_of_many_pictures_names_none() -> None:
    animals = {f"1f4{number:02}": Names(f"animal {number}", ("animal",)) for number in range(SHARED_MAX + 1)}
    assert owners(with_lone_words(animals, EN), "animal") == []


def test_a_shortcode_comes_before_a_label() -> None:
    assert owners(with_lone_words(TREES, EN, {"1f384": ["tree"]}), "tree") == ["1f384"]


def test_a_colour_or_a_style_names_nothing() -> None:
    named = {"1f345": Names("tomato", ("red", "fruit", "flat")), "1f97f": Names("flat shoe", ("flat",))}
    assert with_lone_words(named, EN)["1f345"].alone == ("fruit",)
    assert with_lone_words(named, EN)["1f97f"].alone == ()
    assert with_lone_words({"1f345": Names("tomate", ("rouge",))}, LANGUAGES["fr"])["1f345"].alone == ()


@pytest.mark.parametrize(
    ("label", "code", "head"),
    [
        ("evergreen tree", "en", "tree"),
        ("face with sunglasses", "en", "face"),
        ("neumond mit gesicht", "de", "neumond"),
        ("pomme rouge", "fr", "pomme"),
        ("", "en", ""),
    ],
)
def test_the_head_of_a_label(label: str, code: str, head: str) -> None:
    assert head_of(label, LANGUAGES[code]) == head


def test_in_romance_languages_the_head_comes_first() -> None:
    named = {"1f34e": Names("pomme rouge", ("pomme",)), "1f34f": Names("pomme verte", ("pomme",))}
    assert owners(with_lone_words(named, replace(LANGUAGES["fr"], familiar={})), "pomme") == ["1f34e"]


def test_a_keyword_that_is_another_label_is_dropped() -> None:
    named = {"2b50": Names("star"), "1f929": Names("star-struck", ("star", "eyes"))}
    assert without_homonyms(named)["1f929"].keywords == ("eyes",)
