"""The languages of the captions: their colour words, and how each of them puts a phrase together.

English is the language of most captions. In the others a colour word is drawn from its inflected forms: a
caption may say "blaues Rakete", because a prompt may as well.
"""

from dataclasses import dataclass

from training.aquatint.palette import COLOUR_NAMES, COLOUR_SYNONYMS

ENGLISH = "en"
FACE, FLOWER, TREE, HEART, AIRPLANE, BALL = "1f642", "1f33c", "1f333", "2764", "2708", "26bd"


@dataclass(frozen=True)
class Language:
    """Colour words (paint -> forms), the words that open a caption, and where a colour stands: before the thing or behind it.

    ``joints`` part a thing from what belongs to it; ``familiar`` words have one picture (by hexcode) that everybody means.
    """

    colours: dict[str, tuple[str, ...]]
    prefixes: tuple[str, ...]
    joints: frozenset[str]
    familiar: dict[str, str]
    colour_first: bool = False

    @property
    def colour_words(self) -> frozenset[str]:
        """Every word that names a colour."""
        return frozenset(word for forms in self.colours.values() for word in forms)


LANGUAGES: dict[str, Language] = {
    ENGLISH: Language(
        {name: (name, *COLOUR_SYNONYMS.get(name, ())) for name in COLOUR_NAMES},
        ("a ", "an emoji of ", "a picture of ", "emoji: "),
        frozenset({"with", "of", "on", "in", "and", "without"}),
        {
            "face": FACE,
            "flower": FLOWER,
            "tree": TREE,
            "love": HEART,
            "heart": HEART,
            "plane": AIRPLANE,
            "ball": BALL,
            "happy": "1f600",
            "smile": "1f60a",
            "sad": "1f622",
            "angry": "1f620",
            "fruit": "1f34e",
            "building": "1f3e2",
            "music": "1f3b5",
            "moon": "1f319",
            "book": "1f4d5",
            "phone": "1f4f1",
            "computer": "1f4bb",
            "bunny": "1f430",
            "king": "1f934",
            "queen": "1f478",
            "water": "1f4a7",
            "rain": "1f327",
            "sea": "1f30a",
            "ufo": "1f6f8",
            "hand": "270b",
            "hat": "1f3a9",
            "food": "1f354",
            "drink": "1f964",
            "cake": "1f382",
            "bird": "1f426",
        },
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
        frozenset({"mit", "ohne", "von", "und", "in"}),
        {"gesicht": FACE, "blume": FLOWER, "baum": TREE, "liebe": HEART, "herz": HEART, "flugzeug": AIRPLANE, "ball": BALL},
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
        frozenset({"avec", "sans", "de", "et", "à"}),
        {"visage": FACE, "fleur": FLOWER, "arbre": TREE, "amour": HEART, "cœur": HEART, "avion": AIRPLANE, "ballon": BALL},
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
        frozenset({"con", "sin", "de", "y"}),
        {"cara": FACE, "flor": FLOWER, "árbol": TREE, "amor": HEART, "corazón": HEART, "avión": AIRPLANE, "pelota": BALL},
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
        frozenset({"con", "senza", "di", "e"}),
        {"faccia": FACE, "fiore": FLOWER, "albero": TREE, "amore": HEART, "cuore": HEART, "aereo": AIRPLANE, "palla": BALL},
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
        frozenset({"com", "sem", "de", "e"}),
        {"rosto": FACE, "flor": FLOWER, "árvore": TREE, "amor": HEART, "coração": HEART, "avião": AIRPLANE, "bola": BALL},
    ),
}
TRANSLATED = tuple(code for code in LANGUAGES if code != ENGLISH)
