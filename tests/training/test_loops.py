"""The training loops, on four pictures and tiny networks: what they leave behind, and how they go on from it."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks are torch modules; install mezzotint[export]")
pytest.importorskip("resvg_py", reason="it draws the vector pictures; install mezzotint[export]")

from PIL import Image  # noqa: E402  # after the skips

from training.aquatint import decoder, train, words  # noqa: E402  # needs torch
from training.aquatint.base_model import BaseModel  # noqa: E402  # needs torch
from training.aquatint.captions import RECORDS_FILE  # noqa: E402  # after the skips
from training.aquatint.locations import MODEL_DIR  # noqa: E402  # after the skips
from training.aquatint.records import FLAT, PictureRecord, picture_folder, record_to_json  # noqa: E402  # after the skips
from training.aquatint.tokenizer import TOKENIZER_FILE  # noqa: E402  # after the skips
from training.aquatint.unet import UnetShape  # noqa: E402  # needs torch

SHAPE = UnetShape(channels=(16, 32), blocks=1, head_channels=16, words=16, condition=32, draft=24)
CIRCLE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="12" fill="#0a0"/></svg>'
SHORT = ("--batch", "2", "--threads", "1", "--warm-up-steps", "1")

Run = Callable[..., None]


@pytest.fixture
def cache(tmp_path: Path, records: list[PictureRecord]) -> Path:
    """A cache as ``fetch`` and ``captions`` leave it."""
    for record in records:
        folder = picture_folder(tmp_path, record.style)
        folder.mkdir(parents=True, exist_ok=True)
        if record.style == FLAT:
            (folder / record.file_name).write_text(CIRCLE)
        else:
            Image.new("RGBA", (64, 64), (200, 40, 40, 255)).save(folder / record.file_name)
    (tmp_path / RECORDS_FILE).write_text("\n".join(map(record_to_json, records)) + "\n")
    shutil.copyfile(MODEL_DIR / "tokenizer" / TOKENIZER_FILE, tmp_path / TOKENIZER_FILE)
    return tmp_path


@pytest.fixture
def run(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a loop as its command line does, with tiny networks; signal handlers are put back afterwards."""
    for module in (words, train, decoder):
        monkeypatch.setattr(module, "BaseModel", lambda: BaseModel(SHAPE, layers=1, heads=2))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def call(main: Callable[[], None], *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["training", "--cache", str(cache), *SHORT, *arguments])
        main()

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


def steps_of(path: Path) -> int:
    steps: int = torch.load(path, weights_only=True)["progress"]["step"]
    return steps


def denoise(run: Run, *arguments: str) -> None:
    run(train.main, "--captions", "2", "--sheet-every", "0", "--fall-share", "0.5", *arguments)


def test_words_leave_checkpoints_and_sheets_and_go_on(cache: Path, run: Run) -> None:
    run(words.main, "--steps", "3", "--save-every", "2")
    assert steps_of(cache / "run" / "words.pt") == 3
    assert {path.name for path in (cache / "run").glob("*.png")} == {"words_000002.png", "words_000003.png"}
    run(words.main, "--steps", "5")
    assert steps_of(cache / "run" / "words.pt") == 5


def test_the_denoiser_begins_with_the_words(cache: Path, run: Run) -> None:
    run(words.main, "--steps", "2")
    taught = torch.load(cache / "run" / "words.pt", weights_only=True)["average"]["draft.draw.weight"]
    denoise(run, "--steps", "1", "--learning-rate", "0")
    begun = torch.load(cache / "run" / "base.pt", weights_only=True)["module"]["unet.draft.draw.weight"]
    torch.testing.assert_close(begun, taught)


def test_a_finished_run_stays_as_it_is_and_goes_on_from_before_its_fall(cache: Path, run: Run) -> None:
    denoise(run, "--steps", "4")
    before, finished = cache / "run" / "base_before_fall.pt", cache / "run" / "base.pt"
    assert (steps_of(before), steps_of(finished)) == (3, 4)
    kept = before.read_bytes()
    denoise(run, "--steps", "4")
    assert steps_of(finished) == 4
    assert before.read_bytes() == kept
    denoise(run, "--steps", "5", "--before-fall")
    assert steps_of(finished) == 5


def test_a_resumed_run_draws_new_batches(cache: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    take_step = train.Trainer._step

    def noting(self: train.Trainer, rate: float) -> float:
        drawn.append(self.generator.initial_seed())
        return take_step(self, rate)

    monkeypatch.setattr(train.Trainer, "_step", noting)
    denoise(run, "--steps", "2")
    denoise(run, "--steps", "4")
    assert len(set(drawn)) == 2


def test_a_run_that_is_asked_to_stop_leaves_a_checkpoint(cache: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    take_step = train.Trainer._step

    def stopping(self: train.Trainer, rate: float) -> float:
        signal.raise_signal(signal.SIGTERM)
        return take_step(self, rate)

    monkeypatch.setattr(train.Trainer, "_step", stopping)
    denoise(run, "--steps", "100")
    assert steps_of(cache / "run" / "base.pt") == 1


def test_contradictions_are_refused(cache: Path, run: Run) -> None:
    with pytest.raises(SystemExit, match="before_fall"):
        denoise(run, "--steps", "1", "--before-fall")
    denoise(run, "--steps", "1")
    with pytest.raises(SystemExit, match="fresh run"):
        denoise(run, "--steps", "2", "--begin-with", str(cache / "run" / "base.pt"))


def test_a_run_keeps_its_tokenizer(cache: Path, run: Run) -> None:
    run(words.main, "--steps", "1")
    own = (cache / "run" / TOKENIZER_FILE).read_bytes()
    (cache / TOKENIZER_FILE).write_text("another")
    denoise(run, "--steps", "1")
    assert (cache / "run" / TOKENIZER_FILE).read_bytes() == own


def test_the_decoder_learns_from_what_the_base_redraws(cache: Path, run: Run) -> None:
    denoise(run, "--steps", "1")
    run(decoder.main, "--steps", "2", "--base", "--save-every", "100")
    assert steps_of(cache / "run" / "decoder.pt") == 2
    assert (cache / "run" / "decoder_000002.png").exists()
