"""Who asks for what and when: the same for every mode, decided by a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.inference.sampling.guidance import WITHOUT, rows_of

STEPS = (4, 20, 50)
GUIDANCE = (WITHOUT, 3.0)
# Rows times steps of the mean picture.
WORK = sum(STEPS) / len(STEPS) * sum(map(rows_of, GUIDANCE)) / len(GUIDANCE)


@dataclass(frozen=True)
class Arrival:
    """A request and when it comes, in seconds from the beginning."""

    at: float
    spec: GenerationSpec


def requests(seed: int) -> Iterator[GenerationSpec]:
    """Requests without end: every number of steps with and without guidance equally often, mixed; no two prompts equal."""
    chance, number = random.Random(seed), 0
    while True:
        pairs = [(steps, guidance) for steps in STEPS for guidance in GUIDANCE]
        chance.shuffle(pairs)
        for steps, guidance in pairs:
            number += 1
            yield GenerationSpec(prompt=f"a red heart, {number}", steps=steps, guidance=guidance, seed=number)


def poisson(rate: float, seconds: float, seed: int) -> list[Arrival]:
    """Requests that come one by one at `rate` a second on average, with no regard to each other, for so long."""
    chance, at, arrivals = random.Random(seed), 0.0, list[Arrival]()
    for spec in requests(seed):
        at += chance.expovariate(rate)
        if at > seconds:
            break
        arrivals.append(Arrival(at, spec))
    return arrivals
