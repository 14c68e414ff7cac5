"""Measured t(batch) between starts: believed when it is whole and of this machine, measured again otherwise."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from mezzotint.inference.curves.curve import Measured
from mezzotint.inference.curves.file import CURVES_MAX, CurveFile

KEY = ("aquatint@1", "4x32x32", "cpu, 2 threads", 8)
STEP_MS = {1: 17.8, 2: 31.8, 8: 93.25}
MEASURED = Measured(STEP_MS, spread=0.05, starts=2)


def curve(**changes: Any) -> dict[str, Any]:
    """An entry as it is kept, with changes."""
    named = dict(zip(("model", "shape", "device", "rows_max"), KEY, strict=True))
    return {**named, "step_ms": {str(rows): ms for rows, ms in STEP_MS.items()}, "spread": 0.05, "starts": 2, **changes}


def test_kept_curves_are_found(tmp_path: Path) -> None:
    """What one process measured the next one finds, for the same model, shape, device and greatest batch, and for no other."""
    path = tmp_path / "new folder/curves.json"
    CurveFile(path).keep(*KEY, MEASURED)
    CurveFile(path).keep("other@1", *KEY[1:], Measured({1: 1.0}, 0.0))
    assert CurveFile(path).find(*KEY) == MEASURED
    for other in (("aquatint@2", *KEY[1:]), (KEY[0], "4x64x64", *KEY[2:]), (*KEY[:2], "cuda", 8), (*KEY[:3], 4)):
        assert CurveFile(path).find(*other) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["curves.json"]


def test_a_new_curve_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """The file does not grow when the same is measured again, and never beyond its limit."""
    file = CurveFile(tmp_path / "curves.json")
    file.keep(*KEY, MEASURED)
    file.keep(*KEY, other := Measured({1: 5.0}, 0.0))
    assert file.find(*KEY) == other
    for number in range(CURVES_MAX):
        file.keep(f"model@{number}", *KEY[1:], other)
    assert file.find(*KEY) is None
    assert len(json.loads((tmp_path / "curves.json").read_text())["curves"]) == CURVES_MAX


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        json.dumps({"format": 1, "curves": [curve()]}).encode(),
        json.dumps({"format": 2, "curves": [curve()], "more": 1}).encode(),
        json.dumps({"format": 2, "curves": [curve(), curve(model="")]}).encode(),
        json.dumps({"format": 2, "curves": [curve(shape="4x32xlarge")]}).encode(),
        json.dumps({"format": 2, "curves": [curve(step_ms={})]}).encode(),
        json.dumps({"format": 2, "curves": [curve(step_ms={"2": 1.0})]}).encode(),
        json.dumps({"format": 2, "curves": [curve(step_ms={"1": 1.0, "16": 2.0})]}).encode(),
        json.dumps({"format": 2, "curves": [curve(step_ms={"1": -1.0})]}).encode(),
        json.dumps({"format": 2, "curves": [curve(step_ms={"1": float("nan")})]}).encode(),
        json.dumps({"format": 2, "curves": [curve(step_ms={"1": float("inf")})]}).encode(),
        json.dumps({"format": 2, "curves": [curve(step_ms={"none": 1.0})]}).encode(),
        json.dumps({"format": 2, "curves": [curve(spread=-0.1)]}).encode(),
        json.dumps({"format": 2, "curves": [curve(starts=0)]}).encode(),
        json.dumps({"format": 2, "curves": [curve()]}).encode() + b" " * 1024 * 1024 + b"]",
    ],
)
def test_a_damaged_file_is_not_believed(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the file, nothing of it is used unless all is right, and the next curve makes it whole."""
    path = tmp_path / "curves.json"
    path.write_bytes(content)
    assert CurveFile(path).find(*KEY) is None
    CurveFile(path).keep(*KEY, MEASURED)
    assert CurveFile(path).find(*KEY) == MEASURED


def test_a_folder_that_cannot_be_written_costs_only_the_measuring(tmp_path: Path) -> None:
    """A curve that cannot be kept is no error."""
    (tmp_path / "file").write_text("in the way")
    file = CurveFile(tmp_path / "file/curves.json")
    file.keep(*KEY, MEASURED)
    assert file.find(*KEY) is None
