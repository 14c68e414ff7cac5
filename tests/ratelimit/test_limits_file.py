"""The limits file: what it may say, and what it says when it may not."""

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.ratelimit import limits_file
from mezzotint.ratelimit.calendar_quota import CalendarQuota
from mezzotint.ratelimit.gcra import Gcra
from mezzotint.ratelimit.limits_file import LimitsFile
from mezzotint.runtime.bundled import bundled
from mezzotint.runtime.errors import StartRefused
from mezzotint.runtime.strict_yaml import FILE_BYTES_MAX, StrictYaml

GOOD = "{name: a, dimension: images, calendar: {count: 1, period: day}}"


def test_a_file_becomes_a_policy(tmp_path: Path) -> None:
    """Ensures that every field arrives, and a tier's limits and everybody's stand in the order of the file."""
    path = tmp_path / "limits.yaml"
    path.write_text("""
everybody:
  - {name: all, dimension: images, calendar: {count: 1_000, period: month}}
tiers:
  free:
    - {name: each, dimension: requests, gcra: {count: 20, per_seconds: 60, burst: 10}}
    - {name: together, dimension: requests, over: tier, gcra: {count: 7, per_seconds: 1, burst: 9}}
  unlimited: []
""")
    policy = limits_file.read(path)
    everybody = CalendarQuota("all", "images", 1000, "month", shared=True)
    own = Gcra("each", "requests", 20, 60, 10)
    assert policy.tiers == {
        "free": (everybody, own, Gcra("together", "requests", 7, 1, 9, shared=True)),
        "unlimited": (everybody,),
    }


def test_the_default_file_has_the_tiers_of_the_queue() -> None:
    """Ensures that an account of any tier that jobs can have also has limits."""
    tiers = yaml.safe_load(bundled("deploy/tiers.yaml").read_text())["tiers"]
    assert list(limits_file.read(bundled("deploy/limits.yaml")).tiers) == [tier["name"] for tier in tiers]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", "f: the file is empty"),
        ("tiers: [", "f:1: not YAML"),
        ("a: b\n\tc: d", "f:2: not YAML"),
        ("- a", "f:1: write a mapping"),
        ("tiers: {}", "f:1: 0 tiers; write 1 to 100"),
        ("everybody: []", "f:1: the file lacks tiers"),
        ("tiers:\n  free: []\nlimits: []", "f:3: the file has no field 'limits'; it has tiers, everybody"),
        ("tiers:\n  free: []\n  free: []", "f:3: 'free' stands on line 2 already"),
        ("tiers:\n  Free: []", "f:2: 'Free': write 1 to 64 small letters, digits, - and _"),
        ("tiers:\n  [a]: []", "f:2: write a plain word as a key"),
        ("tiers:\n  free: none", "f:2: write a list of limits"),
        ("tiers:\n  free:\n    - requests", "f:3: write a mapping, `key: value`, for a limit"),
        ("tiers:\n  free:\n    - {name: a}", "f:3: a limit lacks dimension"),
        (f"tiers:\n  free:\n    - {GOOD}\n    - {GOOD}", "f:4: a limit on line 3 is named 'a' already"),
        (f"tiers:\n  free:\n    - {GOOD}\neverybody:\n  - {GOOD}", "f:3: a limit on line 5 is named 'a' already"),
        ("tiers:\n  free:\n    - {name: a, dimension: images}", "f:3: 'a': write either gcra or calendar"),
        ("tiers:\n  free:\n    - {name: a, dimension: i m, calendar: {count: 1, period: day}}", "f:3: 'i m': write 1 to 32"),
        (
            "tiers:\n  free:\n    - name: a\n      dimension: images\n      calendar: {count: 1, period: week}",
            "f:5: 'week': write minute, hour, day or month",
        ),
        (
            "tiers:\n  free:\n    - name: a\n      dimension: images\n      gcra: {count: 1, per_seconds: 60}",
            "f:5: gcra lacks burst",
        ),
        (
            "tiers:\n  free:\n    - name: a\n      dimension: images\n      calendar:\n        count: 0\n        period: day",
            "f:6: '0': write a whole number from 1 to",
        ),
        (f"tiers:\n  free:\n    - {GOOD.replace('count: 1', 'count: many')}", "f:3: 'many': write a whole number"),
        (f"tiers:\n  free:\n    - {GOOD.replace('count: 1', 'count: 1.5')}", "f:3: '1.5': write a whole number"),
        (f"tiers:\n  free:\n    - {GOOD.replace('count: 1', 'count: -1')}", "f:3: '-1': write a whole number"),
        (f"tiers:\n  free:\n    - {GOOD.replace('count: 1', 'count: [1]')}", "f:3: a list or mapping: write a whole number"),
        (f"tiers:\n  free:\n    - {GOOD.replace('count: 1', 'count: ' + '9' * 5000)}", "write a whole number"),
        (f"everybody:\n  - {{over: tier, {GOOD[1:]}\ntiers:\n  free: []", "f:2: a limit has no field 'over'"),
        (f"tiers:\n  free:\n    - {{over: planet, {GOOD[1:]}", "f:3: 'planet': write account or tier"),
        ("tiers: &a\n  free: *a", "f:1: write a list of limits"),
        ("tiers: {free: []}\n---\ntiers: {free: []}", "f:2: not YAML"),
        ("tiers: {free: " + "[" * 20_000, "f"),
    ],
)
def test_mistakes_are_named_with_their_line(content: str, error: str) -> None:
    """Ensures that whoever wrote the file is told where the mistake is and what to write."""
    with pytest.raises(StartRefused) as caught:
        LimitsFile(StrictYaml("f", content.encode())).policy()
    assert str(caught.value).startswith(error) or error in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"tiers: \x00", b"tiers: {\xc3\x28: []}"])
def test_bytes_that_are_no_text_are_refused(content: bytes) -> None:
    """Ensures a clear error for a file of another kind."""
    with pytest.raises(StartRefused, match="not YAML"):
        LimitsFile(StrictYaml("f", content)).policy()


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="tiers:free-{}[],&*a \n\t!?|>%'\"01", max_size=200).map(str.encode)))
def test_whatever_the_file_holds_it_is_read_or_refused(content: bytes) -> None:
    """Ensures that no content ends the process with anything but a message."""
    with contextlib.suppress(StartRefused):
        LimitsFile(StrictYaml("f", content)).policy()


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Ensures that a missing file, a folder and one that is far too large are each named."""
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "directory"), (large, "at most")):
        with pytest.raises(StartRefused, match=reason) as caught:
            limits_file.read(path)
        assert str(path) in str(caught.value)


def test_too_many_limits_of_a_tier_are_refused() -> None:
    """Ensures that no call has to look at more than 32 limits."""
    limits = "".join(f"\n    - {GOOD.replace('name: a', f'name: a{number}')}" for number in range(33))
    with pytest.raises(StartRefused, match="f:3: 33 limits"):
        LimitsFile(StrictYaml("f", f"tiers:\n  free:{limits}".encode())).policy()
