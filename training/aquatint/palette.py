"""The colour words that captions use, and the paints they stand for (straight RGB in [0, 1])."""

PAINTS: dict[str, tuple[float, float, float]] = {
    "red": (0.88, 0.10, 0.16),
    "orange": (0.96, 0.50, 0.08),
    "yellow": (0.99, 0.80, 0.18),
    "green": (0.18, 0.68, 0.24),
    "teal": (0.08, 0.66, 0.66),
    "blue": (0.10, 0.40, 0.93),
    "purple": (0.52, 0.24, 0.82),
    "pink": (0.96, 0.42, 0.68),
    "brown": (0.48, 0.29, 0.18),
    "black": (0.16, 0.16, 0.18),
    "gray": (0.52, 0.53, 0.55),
    "white": (0.90, 0.90, 0.92),
}
COLOUR_NAMES = tuple(PAINTS)
# Other words for the same paints: captions use them, so that prompts may.
COLOUR_SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("crimson", "scarlet"),
    "yellow": ("golden",),
    "teal": ("turquoise", "cyan"),
    "blue": ("dark blue",),
    "purple": ("violet",),
    "pink": ("magenta",),
    "gray": ("grey", "silver"),
}
