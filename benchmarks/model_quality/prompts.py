"""What is asked for: fixed prompts, so that two models are asked the same."""

import random

LABELS_SEED = 5
COLOURS = {
    "blue": ("pizza", "elephant", "cat", "dog", "banana", "strawberry", "hamburger", "pumpkin", "lion", "tree"),
    "green": ("hamburger", "rocket", "pig", "tomato", "fox", "guitar", "fire", "crown", "octopus", "teddy bear"),
    "purple": ("apple", "car", "house", "fish", "star", "tiger", "bread", "chicken", "lemon", "robot"),
    "red": ("elephant", "penguin", "banana", "broccoli", "whale", "dolphin", "frog", "owl", "pineapple", "koala"),
    "pink": ("elephant", "cat", "car", "tree", "rocket", "frog", "house", "star", "sun", "dragon"),
}
COLOUR_TRIES = tuple((colour, thing) for colour, things in COLOURS.items() for thing in things)
# Things that nobody has drawn: no training picture shows them.
COMPOSITES = (
    "a pink elephant", "blue pizza", "green hamburger", "purple banana", "red penguin", "blue tiger", "teal rocket",
    "black strawberry", "purple dog", "pink house",
)  # fmt: skip


def label_prompts(labels: list[str], count: int) -> list[int]:
    """Return the rows of ``count`` labels, drawn once and for all from those that the judge knows."""
    return random.Random(LABELS_SEED).sample(range(len(labels)), count)
