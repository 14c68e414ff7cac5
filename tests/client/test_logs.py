"""The end of a service's log, as people read it."""

import json
from pathlib import Path

from mezzotint_client import logs


def test_log_entries_are_shown_as_words(tmp_path: Path) -> None:
    """An entry shows its level, event and fields; an exception its lines; what is no JSON stays as it is."""
    log = tmp_path / "queue.log"
    entry = {"event": "stopped", "level": "error", "service": "queue", "timestamp": "now", "reason": "port taken", "empty": ""}
    failed = {"event": "defect", "level": "error", "exception": "Traceback\nValueError: x"}
    log.write_text("\n".join([json.dumps(entry), json.dumps(failed), "plain", "7", ""]))
    assert logs.last_lines(log, 10) == [
        "error: stopped reason=port taken",
        "error: defect",
        "Traceback",
        "ValueError: x",
        "plain",
        "7",
    ]


def test_only_the_end_is_read(tmp_path: Path) -> None:
    """Of a large log with broken bytes, the last lines are shown and no more."""
    log = tmp_path / "queue.log"
    log.write_bytes(b"\xff" * (2 * logs.TAIL_BYTES) + b"\nlast but one\nlast\n")
    assert logs.last_lines(log, 2) == ["last but one", "last"]
    assert sum(map(len, logs.last_lines(log, 10**6))) < logs.TAIL_BYTES
    assert logs.last_lines(tmp_path / "missing.log", 2) == []


def test_a_large_log_is_set_aside(tmp_path: Path) -> None:
    """The next start begins a new file and keeps the one before."""
    log = tmp_path / "queue.log"
    with log.open("wb") as file:
        file.truncate(logs.LOG_BYTES_MAX + 1)
    logs.set_aside_if_large(log)
    assert not log.exists()
    assert (tmp_path / "queue.old.log").exists()
    logs.set_aside_if_large(log)
