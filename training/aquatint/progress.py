"""Report a run as it goes: a bar on a terminal, else lines, with loss, rate and time left; a CSV log; stop it when asked."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType

from tqdm import tqdm

from training.aquatint.checkpoint import Progress
from training.aquatint.schedule import Schedule


class StopRequest:
    """Notes SIGTERM and SIGINT, so that a run ends after its step, with a checkpoint."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


class RunLog:
    """Averages the loss between lines; one line each ``every`` steps."""

    def __init__(self, path: Path, progress: Progress, schedule: Schedule, every: int = 50) -> None:
        self.path, self.progress, self.schedule, self.every = path, progress, schedule, every
        self.done_at_start = schedule.done(progress.step)
        self.started = time.monotonic()
        self.losses: list[float] = []
        self.images_since = 0
        self.since = self.last = time.monotonic()
        # A bar where somebody looks at it; a file gets a line now and then.
        self.bar = tqdm(total=1.0, initial=self.done_at_start, disable=None, bar_format="{percentage:3.0f}% |{bar}| {desc}")
        if not path.exists():
            path.write_text("step,images,seconds,loss\n")

    def step(self, loss: float, images: int) -> None:
        """Count one optimiser step over ``images`` pictures, and report when it is time."""
        now = time.monotonic()
        self.progress.step += 1
        self.progress.images += images
        self.progress.seconds += now - self.last
        self.last = now
        self.losses.append(loss)
        self.images_since += images
        self._move_bar(now, loss)
        if self.progress.step % self.every == 0:
            self._report(now)

    def pause_ended(self) -> None:
        """Leave the time since the last step (sheets, checkpoints) out of the count."""
        self.last = time.monotonic()

    def _minutes_left(self, now: float) -> float:
        over = self.schedule.done(self.progress.step)
        gained = over - self.done_at_start
        return (now - self.started) * (1 - over) / gained / 60 if gained > 0 else float("inf")

    def _move_bar(self, now: float, loss: float) -> None:
        if self.bar.disable:
            return
        rate = self.images_since / max(now - self.since, 1e-9)
        self.bar.n = self.schedule.done(self.progress.step)
        self.bar.set_description_str(
            f"step {self.progress.step}  loss {loss:.4f}  {rate:.0f} images/s  {self._minutes_left(now):.0f} min left"
        )

    def _report(self, now: float) -> None:
        done, mean = self.progress, sum(self.losses) / len(self.losses)
        rate = self.images_since / (now - self.since)
        over, left = self.schedule.done(done.step), self._minutes_left(now)
        with self.path.open("a") as log:
            log.write(f"{done.step},{done.images},{done.seconds:.0f},{mean:.5f}\n")
        tqdm.write(
            f"step {done.step} ({over:.0%})  loss {mean:.4f}  {rate:.0f} images/s  "
            f"{done.seconds / 60:.1f} min trained, {left:.0f} min left",
        )
        sys.stdout.flush()
        self.losses, self.images_since, self.since = [], 0, now
