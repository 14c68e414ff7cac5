"""What the training tests share: a handful of hand-made records, and the shipped bundle."""

from typing import TYPE_CHECKING

import pytest

from training.aquatint.locations import MODEL_DIR
from training.aquatint.records import Names, PictureRecord

if TYPE_CHECKING:
    from training.aquatint.bundle_sampler import BundleSampler

RECORDS = (
    PictureRecord("2764", "2764-fe0f.webp", "red heart", ("love", "emotion"), "heart", {"fr": Names("cœur rouge")}),
    PictureRecord(
        "1f680",
        "1f680.webp",
        "rocket",
        ("launch", "space"),
        "transport-air",
        {"de": Names("rakete", ("weltraum",)), "fr": Names("fusée")},
    ),
    PictureRecord("1f34a", "1f34a.webp", "orange", (), "food-fruit"),
    PictureRecord("1f47b", "1f47b.webp", "ghost", ("creature",), "face-costume"),
)


@pytest.fixture
def records() -> list[PictureRecord]:
    return list(RECORDS)


@pytest.fixture(scope="session")
def sampler() -> "BundleSampler":
    pytest.importorskip("onnxruntime", reason="the bundle runs on ONNX Runtime; install mezzotint[cpu]")
    from training.aquatint.bundle_sampler import BundleSampler

    return BundleSampler(MODEL_DIR)
