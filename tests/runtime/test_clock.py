"""Ids: their form, their order, and those made late."""

import re

from mezzotint.runtime.clock import LateId, new_id


def test_ids_are_ulids_in_lower_case() -> None:
    """Ensures that an id has its prefix and 26 digits of Crockford's base 32, in the order of creation to the millisecond."""
    made = [new_id("job") for _ in range(1000)]
    assert all(re.fullmatch(r"job_0[0-7][0-9a-hjkmnp-tv-z]{24}", each) for each in made)
    assert len(set(made)) == 1000
    moments = [each[4:14] for each in made]
    assert moments == sorted(moments)


def test_a_late_id_is_one_id() -> None:
    """Ensures that whoever asks gets the same id, and that each has its own."""
    late = LateId("req")
    assert str(late) == str(late)
    assert str(late).startswith("req_")
    assert str(late) != str(LateId("req"))
