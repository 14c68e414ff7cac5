"""Reading a service's log file for people: the last lines, each event on one."""

import json
from pathlib import Path

# A larger log is set aside when the service starts again; one such file is kept.
LOG_BYTES_MAX = 32 * 1024 * 1024
TAIL_BYTES = 16 * 1024
# Of a line, what is said elsewhere.
LEFT_OUT = ("event", "level", "service", "timestamp", "exception", "trace_id")


def set_aside_if_large(path: Path) -> None:
    """Begin a new log once the old one is large."""
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".old.log"))


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a log, at most 16 KiB; none when there is no log."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    readable = [line for entry in text.splitlines() for line in readable_lines(entry)]
    return readable[-count:]


def readable_lines(entry: str) -> list[str]:
    """A log entry as people read it; what is no JSON stays as it is."""
    try:
        fields = json.loads(entry)
    except ValueError:
        return [entry]
    if not isinstance(fields, dict):
        return [entry]
    rest = " ".join(f"{name}={value}" for name, value in fields.items() if name not in LEFT_OUT and value != "")
    return [f"{fields.get('level', '')}: {fields.get('event', '')} {rest}".rstrip(), *fields.get("exception", "").splitlines()]
