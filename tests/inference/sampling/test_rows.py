"""Guidance row by row, and the noise that pictures begin from."""

import numpy as np
import pytest

from mezzotint.inference.sampling import guidance
from mezzotint.inference.sampling.noise import noise


def test_only_guided_pictures_take_a_second_row() -> None:
    """Three pictures of which two are guided make five rows, in the stated order."""
    scales = np.array([1.0, 3.0, 5.0], np.float32)
    rows = guidance.expand(np.arange(3, dtype=np.float32)[:, None], scales)
    assert rows[:, 0].tolist() == [0, 1, 2, 1, 2]
    assert [guidance.rows_of(float(scale)) for scale in scales] == [1, 2, 2]


def test_each_picture_gets_its_own_guidance() -> None:
    """The conditional and unconditional rows are combined by the classifier-free formula with the picture's own scale."""
    scales = np.array([1.0, 3.0, 5.0], np.float32)
    rows = np.array([10, 20, 30, 1, 2], np.float32)[:, None, None, None]
    combined = guidance.combine(rows, scales)
    assert combined.ravel().tolist() == [10, 1 + 3 * 19, 2 + 5 * 28]


def test_guidance_leaves_the_rows_as_they_are() -> None:
    """Combining does not write into what the engine returned."""
    rows = np.ones((2, 1, 1, 1), np.float32)
    guidance.combine(rows, np.array([7.0], np.float32))
    assert rows.tolist() == np.ones((2, 1, 1, 1)).tolist()


def test_noise_is_decided_by_the_seed() -> None:
    """The same seed gives the same numbers, another seed others; these very numbers stay the same for ever."""
    np.testing.assert_array_equal(noise(7, (4, 8, 8)), noise(7, (4, 8, 8)))
    assert not np.array_equal(noise(7, (4, 8, 8)), noise(8, (4, 8, 8)))
    np.testing.assert_allclose(noise(42, (3,)), FIRST_OF_42, rtol=1e-5)


FIRST_OF_42 = [0.424211, -1.438826, -0.465257]


@pytest.mark.parametrize("seed", [0, 2**53 - 1 + 9, 2**64 - 1])
def test_noise_is_standard_normal(seed: int) -> None:
    """Every seed of the contract, and those of a request's further pictures, give normal and finite numbers."""
    numbers = noise(seed, (4, 101, 101))
    assert numbers.dtype == np.float32
    assert np.isfinite(numbers).all()
    assert abs(numbers.mean()) < 0.02
    assert abs(numbers.std() - 1) < 0.02
