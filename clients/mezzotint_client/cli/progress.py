"""How a generation goes, for people: a bar with a live preview in a terminal, plain lines elsewhere. On standard error."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from mezzotint_client import events
from mezzotint_client.cli.halfblocks import halfblocks

PREVIEW_COLUMNS_MAX = 64
# Lines of a terminal that are not the picture's.
OTHER_ROWS = 4


class Display(Protocol):
    """Something that shows events while its block runs."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End; what remains on the screen is final."""
        ...

    def show(self, event: events.Event) -> None:
        """Show what happened."""
        ...


def display(console: Console) -> Display:
    """What fits the console: a live one for a terminal, else plain lines."""
    return TerminalDisplay(console) if console.is_terminal else LineDisplay(console)


class LineDisplay:
    """One line for each change of state; steps are left out."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def show(self, event: events.Event) -> None:
        """Print the line of an event, unless it says what the last one said."""
        line = words(event)
        if line and line != self._last:
            self._last = line
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


class TerminalDisplay:
    """A line of words, a bar over all steps of all pictures, and the latest preview or picture below."""

    def __init__(self, console: Console) -> None:
        self._words = ""
        self._steps: dict[int, int] = {}
        self._picture: Text | None = None
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=None)
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=12, transient=False)
        self._console = console

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, event: events.Event) -> None:
        """Change the display to what happened."""
        self._words = words(event) or self._words
        if isinstance(event, events.Started):
            self._steps.clear()
        if isinstance(event, events.Progress):
            self._steps[event.index] = event.step
            total = event.steps * len(self._steps)
            self._bar.update(self._task, total=total, completed=sum(self._steps.values()))
        if isinstance(event, events.Progress) and event.preview:
            self._picture = self._drawn(event.preview)
        if isinstance(event, events.Picture):
            self._picture = self._drawn(event.data)
        self._bar.update(self._task, description=self._words)

    def _drawn(self, encoded: bytes) -> Text:
        columns = min(PREVIEW_COLUMNS_MAX, self._console.width - 2)
        return halfblocks(encoded, columns, self._console.height - OTHER_ROWS)

    def _render(self) -> RenderableType:
        return Group(self._bar, self._picture) if self._picture else self._bar


def words(event: events.Event) -> str:
    """An event in words; empty for those that are told by a bar or a file."""
    match event:
        case events.Accepted():
            return f"accepted {event.generation_id}" + (" (again)" if event.replayed else "")
        case events.Waiting():
            return waiting_words(event)
        case events.Started():
            return "drawing" if event.attempt == 1 else f"drawing (attempt {event.attempt})"
        case events.Finished():
            return f"drawn by {event.model} in {event.steps} steps"
        case _:
            return ""


def waiting_words(event: events.Waiting) -> str:
    """A place in the queue in words."""
    begin = (
        "waiting until the peak is over" if event.deferred else "waiting for another attempt" if event.retrying else "waiting"
    )
    place = f", {event.position} ahead" if event.position else ", next"
    eta = f", about {event.eta:.0f} s" if event.eta is not None and event.eta >= 1 else ""
    return begin + place + eta
