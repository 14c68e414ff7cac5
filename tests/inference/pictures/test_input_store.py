"""Where pictures that come with requests are read from, and how many at once."""

import asyncio
from collections.abc import Callable

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec, InputImage
from mezzotint.inference.graphs.memory import MIB, resident_bytes
from mezzotint.inference.pictures.image_input import ImageInput
from mezzotint.inference.pictures.input_store import READING_MAX, InputStore, without_pictures
from tests.inference.given_pictures import encoded, gradient


async def test_few_are_read_at_once() -> None:
    """Ensures that a burst of requests with pictures does not have all of them fetched and decoded at the same time."""
    spec = GenerationSpec(prompt="x", width=256, height=256, image=InputImage(data=encoded(gradient())))
    inputs, gate, entered = InputStore(), asyncio.Event(), 0

    async def in_pool(work: Callable[[], ImageInput]) -> ImageInput:
        nonlocal entered
        entered += 1
        await gate.wait()
        return work()

    reading = [asyncio.create_task(inputs.read(spec, spec, in_pool)) for _ in range(READING_MAX + 2)]
    for _ in reading:
        await asyncio.sleep(0)
    assert entered == READING_MAX
    gate.set()
    assert all(each.image.size == (256, 256) for each in await asyncio.gather(*reading))
    assert entered == READING_MAX + 2


def test_what_is_told_of_a_request_holds_no_memory_of_its_pictures() -> None:
    """Ensures that what is kept for long has the request's fields and not its megabytes, also where nobody sees them."""
    spec = GenerationSpec(prompt="x", steps=4, strength=0.5, guidance=2.0, seed=9, image=InputImage(data=bytes(8 * MIB)))
    before = resident_bytes()
    told = [without_pictures(spec) for _ in range(16)]
    assert resident_bytes() - before < 32 * MIB
    assert all(each == told[0] for each in told)
    assert told[0].HasField("image")
    assert not told[0].HasField("mask")
    assert not told[0].image.data
    told[0].image.data = spec.image.data
    assert told[0] == spec
