"""Measured t(batch) kept between starts: a small JSON file, believed only if it is whole and of this machine."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mezzotint.inference.curves.curve import Measured
from mezzotint.runtime import logging

log = logging.get(__name__)
FILE_BYTES_MAX = 1024 * 1024
# The oldest go first.
CURVES_MAX = 256
Milliseconds = Annotated[float, Field(gt=0, lt=3_600_000)]
Rows = Annotated[int, Field(ge=1, le=256)]


class Curve(BaseModel):
    """t(batch) of one model, shape and device: milliseconds by rows, and how surely they were measured (see Measured)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(min_length=1, max_length=160)
    shape: str = Field(pattern=r"^\d{1,6}(x\d{1,6}){0,3}$")
    device: str = Field(min_length=1, max_length=256)
    rows_max: Rows
    step_ms: dict[Rows, Milliseconds] = Field(min_length=1, max_length=256)
    spread: float = Field(ge=0)
    starts: int = Field(ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if 1 not in self.step_ms or max(self.step_ms) > self.rows_max:
            raise ValueError(f"step_ms must begin with 1 row and end with {self.rows_max} at most")
        return self

    @property
    def of(self) -> tuple[str, str, str, int]:
        """What it is the curve of."""
        return self.model, self.shape, self.device, self.rows_max


class Curves(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[2]
    curves: list[Curve] = Field(max_length=CURVES_MAX)


class CurveFile:
    """Curves by model, shape, device and greatest batch. Blocks; never raises: what cannot be kept is measured again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, model: str, shape: str, device: str, rows_max: int) -> Measured | None:
        """What was measured before; None when nothing was, or not on this device."""
        wanted = (model, shape, device, rows_max)
        found = next((curve for curve in self._read() if curve.of == wanted), None)
        return None if found is None else Measured(found.step_ms, found.spread, found.starts)

    def keep(self, model: str, shape: str, device: str, rows_max: int, measured: Measured) -> None:
        """Put a curve in the place of an older one."""
        new = Curve(model=model, shape=shape, device=device, rows_max=rows_max, **asdict(measured))
        kept = [curve for curve in self._read() if curve.of != new.of]
        content = Curves(format=2, curves=[*kept, new][-CURVES_MAX:]).model_dump_json(indent=1)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Not left behind on a full disk: it has its own name until it is whole.
            with tempfile.TemporaryDirectory(dir=self._path.parent, prefix=".curves-") as folder:
                file = Path(folder, self._path.name)
                file.touch(mode=0o600)
                file.write_text(content)
                file.replace(self._path)
        except OSError as error:
            log.warning("t(batch) cannot be kept; it is measured again at the next start", file=str(self._path), why=str(error))

    def _read(self) -> list[Curve]:
        try:
            return Curves.model_validate(json.loads(content_of(self._path))).curves
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            log.warning("the file of t(batch) is not believed; all is measured again", file=str(self._path), why=str(error))
            return []


def content_of(path: Path) -> bytes:
    """The bytes of a file. Raises ValueError when there are too many."""
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise ValueError(f"it has more than {FILE_BYTES_MAX} bytes")
    return content
