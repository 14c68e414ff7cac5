"""A word alone means one picture: the one that is called so, or the first that it heads."""

from training.aquatint.naming import Names, with_lone_words, without_homonyms

TREES = {
    "1f332": Names("evergreen tree", ("tree", "christmas", "forest")),
    "1f333": Names("deciduous tree", ("tree", "forest")),
    "1f384": Names("christmas tree", ("tree", "celebration")),
}


def test_of_many_trees_one_is_tree() -> None:
    alone = with_lone_words(TREES, {})
    assert "tree" in alone["1f332"].alone
    assert "tree" not in alone["1f333"].alone
    assert "tree" not in alone["1f384"].alone


def test_a_word_that_heads_no_label_belongs_to_all_who_have_it() -> None:
    alone = with_lone_words(TREES, {})
    assert [hexcode for hexcode, names in alone.items() if "forest" in names.alone] == ["1f332", "1f333"]
    assert "celebration" in alone["1f384"].alone


def test_a_shortcode_comes_before_a_label() -> None:
    alone = with_lone_words(TREES, {"1f384": ["tree"]})
    assert [hexcode for hexcode, names in alone.items() if "tree" in names.alone] == ["1f384"]


def test_in_romance_languages_the_head_comes_first() -> None:
    named = {
        "1f34e": Names("pomme rouge", ("rouge", "pomme")),
        "1f34f": Names("pomme verte", ("verte", "pomme")),
        "1f345": Names("tomate", ("rouge",)),
    }
    alone = with_lone_words(named, {}, head_last=False)
    assert alone["1f34e"].alone == ("rouge", "pomme")
    assert alone["1f34f"].alone == ("verte",)
    assert alone["1f345"].alone == ("rouge",)


def test_a_keyword_that_is_another_label_is_dropped() -> None:
    named = {"2b50": Names("star"), "1f929": Names("star-struck", ("star", "eyes"))}
    assert without_homonyms(named)["1f929"].keywords == ("eyes",)
