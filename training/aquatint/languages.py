"""The languages of the captions: their colour words, and how each of them puts a phrase together.

English is the language of most captions. In the others a colour word is drawn from its inflected forms: a
caption may say "blaues Rakete", because a prompt may as well.
"""

from dataclasses import dataclass

from training.aquatint.palette import COLOUR_NAMES, COLOUR_SYNONYMS

ENGLISH = "en"


@dataclass(frozen=True)
class Language:
    """Colour words (paint -> forms), the words that open a caption, and where a colour stands."""

    colours: dict[str, tuple[str, ...]]
    prefixes: tuple[str, ...]
    colour_first: bool = False

    @property
    def colour_words(self) -> frozenset[str]:
        """Every word that names a colour."""
        return frozenset(word for forms in self.colours.values() for word in forms)


LANGUAGES: dict[str, Language] = {
    ENGLISH: Language(
        {name: (name, *COLOUR_SYNONYMS.get(name, ())) for name in COLOUR_NAMES},
        ("a ", "an emoji of ", "a picture of ", "emoji: "),
        colour_first=True,
    ),
    "de": Language(
        {
            "red": ("rotes", "roter", "rote", "rot"),
            "orange": ("oranges", "oranger", "orange"),
            "yellow": ("gelbes", "gelber", "gelbe", "gelb"),
            "green": ("grünes", "grüner", "grüne", "grün"),
            "teal": ("türkises", "türkiser", "türkise", "türkis"),
            "blue": ("blaues", "blauer", "blaue", "blau"),
            "purple": ("lila", "violettes", "violetter", "violette", "violett"),
            "pink": ("pinkes", "pinker", "pinke", "rosa"),
            "brown": ("braunes", "brauner", "braune", "braun"),
            "black": ("schwarzes", "schwarzer", "schwarze", "schwarz"),
            "gray": ("graues", "grauer", "graue", "grau"),
            "white": ("weißes", "weißer", "weiße", "weiß"),
        },
        ("ein ", "eine ", "ein bild von "),
        colour_first=True,
    ),
    "fr": Language(
        {
            "red": ("rouge",),
            "orange": ("orange",),
            "yellow": ("jaune",),
            "green": ("vert", "verte"),
            "teal": ("turquoise",),
            "blue": ("bleu", "bleue"),
            "purple": ("violet", "violette"),
            "pink": ("rose",),
            "brown": ("marron",),
            "black": ("noir", "noire"),
            "gray": ("gris", "grise"),
            "white": ("blanc", "blanche"),
        },
        ("un ", "une ", "une image de "),
    ),
    "es": Language(
        {
            "red": ("rojo", "roja"),
            "orange": ("naranja",),
            "yellow": ("amarillo", "amarilla"),
            "green": ("verde",),
            "teal": ("turquesa",),
            "blue": ("azul",),
            "purple": ("morado", "morada"),
            "pink": ("rosa",),
            "brown": ("marrón",),
            "black": ("negro", "negra"),
            "gray": ("gris",),
            "white": ("blanco", "blanca"),
        },
        ("un ", "una ", "una imagen de "),
    ),
    "it": Language(
        {
            "red": ("rosso", "rossa"),
            "orange": ("arancione",),
            "yellow": ("giallo", "gialla"),
            "green": ("verde",),
            "teal": ("turchese",),
            "blue": ("blu",),
            "purple": ("viola",),
            "pink": ("rosa",),
            "brown": ("marrone",),
            "black": ("nero", "nera"),
            "gray": ("grigio", "grigia"),
            "white": ("bianco", "bianca"),
        },
        ("un ", "una ", "un'immagine di "),
    ),
    "pt": Language(
        {
            "red": ("vermelho", "vermelha"),
            "orange": ("laranja",),
            "yellow": ("amarelo", "amarela"),
            "green": ("verde",),
            "teal": ("turquesa",),
            "blue": ("azul",),
            "purple": ("roxo", "roxa"),
            "pink": ("rosa",),
            "brown": ("marrom",),
            "black": ("preto", "preta"),
            "gray": ("cinza",),
            "white": ("branco", "branca"),
        },
        ("um ", "uma ", "uma imagem de "),
    ),
}
TRANSLATED = tuple(code for code in LANGUAGES if code != ENGLISH)
