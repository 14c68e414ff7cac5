"""What outlives a restart, and what happens to the file that carries it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.ratelimit import snapshot
from mezzotint.ratelimit.calendar_quota import CalendarQuota
from mezzotint.ratelimit.gcra import Gcra
from mezzotint.ratelimit.ledger import Ledger, Saved
from mezzotint.ratelimit.limit import NANOSECONDS, Moment, Subject
from mezzotint.ratelimit.policy import Policy
from mezzotint.runtime.errors import StartRefused
from tests.support.clock import counting_ids

POLICY = Policy({"free": (Gcra("burst", "images", 1, 1, 50), CalendarQuota("day", "images", 100, "day"))})
ANNA = Subject("anna", "free")
NOW = Moment(NANOSECONDS, 1_767_268_800 * NANOSECONDS)


@pytest.fixture
def saved() -> Saved:
    """A ledger's state with one charge of 10 and one reservation of 5 for a minute."""
    ledger = Ledger(POLICY, counting_ids())
    ledger.check("c", ANNA, {"images": 10}, NOW)
    ledger.reserve("r", ANNA, {"images": 5}, 60 * NANOSECONDS, NOW)
    return ledger.save(NOW)


def restarted(saved: Saved, *, seconds: int = 0, policy: Policy = POLICY) -> tuple[Ledger, Moment]:
    """A new ledger with the state, so many seconds later, on a steady clock of its own."""
    at = Moment(5, NOW.wall_ns + seconds * NANOSECONDS)
    ledger = Ledger(policy, counting_ids())
    ledger.restore(saved, at)
    return ledger, at


def test_the_file_gives_back_what_was_written(saved: Saved, tmp_path: Path) -> None:
    """Ensures that quotas and reservations survive the file; limits that start whole are left out of it."""
    path = tmp_path / "snapshot"
    assert snapshot.read(path) is None
    for _ in range(2):
        snapshot.write(path, saved)
    found = snapshot.read(path)
    assert found is not None
    assert found.states == {"day": {"anna": (saved.states["day"]["anna"][0], 15)}}
    assert b"burst" not in b"".join(found.reservations)
    assert [each.name for each in tmp_path.iterdir()] == ["snapshot"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_quotas_and_reservations_go_on(saved: Saved) -> None:
    """Ensures that after a restart the day's use stands, GCRA is whole, and a reservation can be committed."""
    ledger, at = restarted(saved)
    assert [status.remaining for status in ledger.peek(ANNA, at)] == [50, 85]
    assert not ledger.commit("rsv_000001", ANNA, {"images": 2}, at)
    assert [status.remaining for status in ledger.peek(ANNA, at)] == [48, 88]


def test_holds_go_on(saved: Saved) -> None:
    """Ensures that a reservation ends when it was said to, though the process is another; also while it is down."""
    ledger, at = restarted(saved, seconds=59)
    assert [status.remaining for status in ledger.peek(ANNA, at)] == [50, 85]
    assert [status.remaining for status in ledger.peek(ANNA, Moment(5 + NANOSECONDS, NOW.wall_ns))] == [50, 90]
    ledger, at = restarted(saved, seconds=61)
    assert [status.remaining for status in ledger.peek(ANNA, at)] == [50, 90]
    assert ledger.commit("rsv_000001", ANNA, {"images": 2}, at)


def test_a_day_that_ended_meanwhile_is_whole(saved: Saved) -> None:
    """Ensures that old windows do not come back."""
    ledger, at = restarted(saved, seconds=86400)
    assert [status.remaining for status in ledger.peek(ANNA, at)] == [50, 100]


def test_a_limit_that_is_gone_is_left_out(saved: Saved) -> None:
    """Ensures that a changed limits file does not stop the start."""
    policy = Policy({"free": (CalendarQuota("other", "images", 100, "day"),)})
    ledger, at = restarted(saved, policy=policy)
    assert ledger.release("rsv_000001", at)
    assert [status.remaining for status in ledger.peek(ANNA, at)] == [100]


def test_a_tier_that_is_gone_gives_its_reservations_back(saved: Saved) -> None:
    """Ensures that no reservation stays whose limits nobody knows; its commit says that the tier is unknown or charges late."""
    policy = Policy({"plus": POLICY.tiers["free"]})
    ledger, at = restarted(saved, policy=policy)
    assert ledger.sizes()["reservations"] == 0
    assert [status.remaining for status in ledger.peek(Subject("anna", "plus"), at)] == [50, 90]
    assert ledger.commit("rsv_000001", Subject("anna", "plus"), {"images": 2}, at)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(at: int, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ensures that a damaged file is never taken for another state."""
    path = tmp_path_factory.mktemp("flip") / "snapshot"
    snapshot.write(path, Saved(NOW.wall_ns, {"day": {"anna": (1, 2)}}, []))
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = snapshot.read(path)
    except StartRefused as error:
        assert str(path) in str(error)  # noqa: PT017  # either is right, by where the bit stands
    else:
        assert found == Saved(NOW.wall_ns, {"day": {"anna": (1, 2)}}, [])


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n{}\n", b"[]\n[]", b"\xff\xfe", b'{"format": 1}\n{}', b"{" * 100_000])
def test_what_is_no_snapshot_refuses_the_start(content: bytes, tmp_path: Path) -> None:
    """Ensures a clear message that says what may be done, instead of every quota anew."""
    path = tmp_path / "snapshot"
    path.write_bytes(content)
    with pytest.raises(StartRefused, match="damaged; start the version that wrote it"):
        snapshot.read(path)


def test_a_newer_format_refuses_the_start(saved: Saved, tmp_path: Path) -> None:
    """Ensures that an older program does not overwrite what it cannot read."""
    path = tmp_path / "snapshot"
    snapshot.write(path, saved)
    header, body = path.read_bytes().split(b"\n", 1)
    path.write_bytes(json.dumps({**json.loads(header), "format": 2}).encode() + b"\n" + body)
    with pytest.raises(StartRefused, match="format 2, this version of Mezzotint reads 1"):
        snapshot.read(path)


def test_a_failed_write_leaves_the_old_file(saved: Saved, tmp_path: Path) -> None:
    """Ensures that what was known is not lost by trying to write what is new."""
    path = tmp_path / "snapshot"
    snapshot.write(path, saved)
    before = path.read_bytes()
    (tmp_path / ".snapshot.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        snapshot.write(path, saved._replace(states={}))
    assert path.read_bytes() == before
