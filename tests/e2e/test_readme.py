"""The README's examples, run as they stand there: only the addresses are those of the test's suite."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from mezzotint_client.suite import Suite
from tests.support.people import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"^```(bash|python)\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
DEFAULT_ADDRESSES = {"127.0.0.1:7400": "gateway", "127.0.0.1:7403": "queue"}
RUN_SECONDS_MAX = 60


async def run(language: str, text: str, suite: Suite, person: Person, folder: Path) -> str:
    """Run an example in an empty folder and give what it printed. Fails when it does."""
    for default, service in DEFAULT_ADDRESSES.items():
        text = text.replace(default, suite.addresses[service])
    text = text.replace("http://127.0.0.1:8080", suite.http_url)
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {
        "MEZZOTINT_DATA": str(suite.data),
        "MEZZOTINT_ADDRESS": suite.addresses["gateway"],
        "MEZZOTINT_API_KEY": person.secret,
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={**os.environ, "PATH": path, **ours}, stdout=pipe, stderr=pipe
    )
    output, errors = await asyncio.wait_for(process.communicate(), RUN_SECONDS_MAX)
    assert process.returncode == 0, f"{text}\n{output.decode()}\n{errors.decode()}"
    return output.decode()


def list_files(folder: Path) -> list[Path]:
    """What an example wrote."""
    return [path for path in folder.rglob("*") if path.is_file()]


def is_png(path: Path) -> bool:
    """Whether the file is a PNG."""
    return path.read_bytes().startswith(b"\x89PNG")


def draw_given(folder: Path) -> None:
    """The files that examples begin with: a picture, and a mask of its size that is white in its lower half."""
    picture = Image.new("RGBA", (256, 256), "red")
    picture.save(folder / "heart.png")
    mask = Image.new("L", picture.size)
    mask.paste(255, (0, 128, 256, 256))
    mask.save(folder / "lower-half.png")


def example(word: str) -> tuple[str, str]:
    """The one example with `word` in it."""
    ((language, text),) = [each for each in EXAMPLES if word in each[1]]
    return language, text


@pytest.mark.parametrize(
    ("word", "shows"),
    [
        ("--out heart.png", ""),
        ("--image heart.png", ""),
        ("curl --fail", '"b64_json"'),
        ("from openai", "image_generation.completed"),
        ("ImageService/GenerateImages", '"finished"'),
        (":7403 list", "mezzotint.api.queue.v1.QueueService"),
        ("Client.connect", "step 20 of 20"),
    ],
)
async def test_examples_run(suite: Suite, person: Person, tmp_path: Path, word: str, shows: str) -> None:
    """Ensures that what the README shows works."""
    draw_given(tmp_path)
    assert shows in await run(*example(word), suite, person, tmp_path)
    assert all(is_png(picture) for picture in list_files(tmp_path))


async def test_no_example_is_left_out() -> None:
    """Ensures that an example added to the README is run here."""
    assert len(EXAMPLES) == 7
