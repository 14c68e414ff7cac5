"""How a generation is shown: live in a terminal, in plain lines elsewhere."""

import io

from PIL import Image
from rich.console import Console

from mezzotint_client import Accepted, Event, Finished, Picture, Progress, Started, Waiting
from mezzotint_client.cli.progress import display


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return buffer.getvalue()


EVENTS: list[Event] = [
    Accepted("job_1", replayed=False),
    Waiting(3, 12.4, deferred=False, retrying=False),
    Waiting(3, 12.3, deferred=False, retrying=False),
    Waiting(0, None, deferred=True, retrying=False),
    Started(2),
    Progress(2, 5, 20, 0, b""),
    Progress(2, 20, 20, 0, png()),
    Picture(0, "png", 8, 8, 1, png()),
    Finished("aquatint@1", 20),
]


def shown(*, terminal: bool) -> str:
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=terminal, width=80, height=24, color_system="truecolor" if terminal else None)
    with display(console) as screen:
        for event in EVENTS:
            screen.show(event)
    return buffer.getvalue()


def test_outside_a_terminal_each_change_is_a_line() -> None:
    """Lines are for logs: no colours, no picture, no repetition."""
    assert shown(terminal=False).splitlines() == [
        "accepted job_1",
        "waiting, 3 ahead, about 12 s",
        "waiting until the peak is over, next",
        "drawing (attempt 2)",
        "drawn by aquatint@1 in 20 steps",
    ]


def test_in_a_terminal_the_end_shows_the_picture() -> None:
    """What remains on the screen is the full bar, the last words and the picture in colour."""
    last = shown(terminal=True)
    assert "drawn by aquatint@1 in 20 steps" in last
    assert "100%" in last
    assert "\x1b[38;2;254;0;0;48;2;254;0;0m▀" in last or "\x1b[38;2;255;0;0;48;2;255;0;0m▀" in last
