"""What the training tests share: a handful of hand-made records, and the shipped bundle."""

from typing import TYPE_CHECKING

import pytest

from training.aquatint.locations import MODEL_DIR
from training.aquatint.naming import Names
from training.aquatint.records import FLAT, PictureRecord

if TYPE_CHECKING:
    from training.aquatint.bundle_sampler import BundleSampler

RECORDS = (
    PictureRecord(
        "2764",
        "2764-fe0f.webp",
        Names("red heart", ("love", "emotion", "red"), ("love", "emotion")),
        "heart",
        {"fr": Names("cœur rouge")},
    ),
    PictureRecord(
        "1f680",
        "1f680.webp",
        Names("rocket", ("launch", "space"), ("space",)),
        "transport-air",
        {"de": Names("rakete", ("weltraum",), ("weltraum",)), "fr": Names("fusée")},
    ),
    PictureRecord("1f34a", "1f34a.webp", Names("orange"), "food-fruit"),
    PictureRecord("1f47b", "1f47b.webp", Names("ghost", ("creature",), ("creature",)), "face-costume"),
    PictureRecord("1f47b", "1f47b.svg", Names("ghost", ("creature",), ("creature",)), "face-costume", style=FLAT),
)


@pytest.fixture
def records() -> list[PictureRecord]:
    return list(RECORDS)


@pytest.fixture(scope="session")
def sampler() -> "BundleSampler":
    pytest.importorskip("onnxruntime", reason="the bundle runs on ONNX Runtime; install mezzotint[cpu]")
    from training.aquatint.bundle_sampler import BundleSampler

    return BundleSampler(MODEL_DIR)
