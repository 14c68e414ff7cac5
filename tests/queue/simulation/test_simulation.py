"""Simulated weeks: whatever fails, and whenever, the queue's invariants hold at every step and everything ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mezzotint.queue.job import JobState
from mezzotint.queue.tiers import Policy, Tier
from tests.queue.simulation.actors import Account, Machine
from tests.queue.simulation.floors import Floors
from tests.queue.simulation.virtual_time import run
from tests.queue.simulation.witness import Witness
from tests.queue.simulation.world import Times, World

# Virtual hours of each seed at scale 1; a scale of 600 makes the same happenings last 600 times as long.
HOURS = 0.5
# What a tier may be behind its floor over any window, at scale 1: seven of the largest jobs.
BEHIND_MS_MAX = 20_000.0
# Of work that all want, weight alone would give the free tier half of its floor.
TIERS = (
    Tier("free", 1, 0.15, wait_max_seconds=600.0, deferrable=True),
    Tier("plus", 4, 0.1, wait_max_seconds=120.0, account_running_max=3),
    Tier("pro", 8, 0.1, share_max=0.7),
)


async def simulate(seed: int, scale: float, rush: float = 1.0, tiers: Sequence[Tier] = TIERS) -> World:
    """A run that ends when every job is final: first chaos, then a quiet time in which everything is finished.

    Paid accounts send `rush` times as often; `tiers` is what the queue is told of them, and TIERS what it is held to.
    """
    generator = random.Random(seed)
    witness = Witness(bound=3600.0 * scale, floors=Floors(TIERS, BEHIND_MS_MAX * scale))
    world = World(Policy(tiers, wait_objective_seconds=2.0 * scale), Times(scale), witness, generator)
    await world.start()
    machines = [Machine(world, f"w{index}", generator, chaos=0.15) for index in range(1 + seed % 4)]
    accounts = [Account(world, TIERS[index % 3].name, f"a{index}", generator) for index in range(12)]
    lives = [asyncio.create_task(machine.live()) for machine in machines]
    lives += [
        asyncio.create_task(account.live(pause=40 * scale / (rush if index % 3 else 1.0), burst=1 + 15 * (index % 4 == 0)))
        for index, account in enumerate(accounts)
    ]
    end = world.clock.monotonic() + HOURS * 3600 * scale
    while world.clock.monotonic() < end:
        await asyncio.sleep(generator.uniform(1, 240) * scale)
        fail_with(world, lives)
        await world.crash()
        world.witness.check(await world.found())
        await asyncio.sleep(generator.uniform(0, 5) * scale)
        await world.start()
    await quiet(world, machines, lives)
    fail_with(world, lives)
    world.witness.check(await world.found())
    await world.crash()
    await asyncio.gather(*map(cancelled, lives))
    return world


async def quiet(world: World, machines: list[Machine], lives: list[asyncio.Task[None]]) -> None:
    """Nobody asks any more and nothing fails any more, until everything has ended."""
    await asyncio.gather(*map(cancelled, lives[len(machines) :]))
    for machine in machines:
        machine.chaos = 0.0
    for _ in range(4000):
        fail_with(world, lives)
        if not world.busy():
            return
        await asyncio.sleep(2 * world.times.scale)
    raise AssertionError(f"{world.busy()} jobs never ended: {world.witness.states}")


async def cancelled(task: asyncio.Task[None]) -> None:
    """End a task."""
    task.cancel()
    await asyncio.wait([task])


def fail_with(world: World, tasks: list[asyncio.Task[None]]) -> None:
    """Raise the invariant that did not hold, or what ended an actor, if anything did."""
    if world.witness.broken:
        raise world.witness.broken
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


@pytest.mark.parametrize(("seed", "scale"), [(1, 1.0), (2, 1.0), (4, 10.0), (5, 600.0), (6, 3600.0), (7, 3600.0)])
def test_invariants_hold_whatever_fails(seed: int, scale: float) -> None:
    """Ensures, for thousands of virtual hours of crashes, lost workers and messages late, twice and out of order, I1 to I12."""
    print(f"seed {seed}, scale {scale}")  # what to give to `simulate` when it fails
    world = run(simulate(seed, scale))
    ended = world.witness.states
    assert ended.total() > 300
    assert all(ended[state] for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED))
    assert world.crashes > 5
    assert scale > 1 or seed > 2 or "DEFERRING" in world.modes


@pytest.mark.parametrize(("seed", "scale"), [(1, 1.0), (7, 1.0), (5, 600.0)])
def test_invariants_hold_while_paid_tiers_ask_for_far_too_much(seed: int, scale: float) -> None:
    """Ensures the same, the floor of the free tier above all, when the others could use everything that there is."""
    print(f"seed {seed}, scale {scale}")
    world = run(simulate(seed, scale, rush=6.0))
    assert world.witness.floors.most > 1000 * scale
    assert scale > 1 or "DEFERRING" in world.modes


def test_a_queue_without_floors_is_found_out() -> None:
    """Ensures that the check of the floors can fail: a queue that is told of none does not pass it."""
    tiers = [replace(tier, share_min=0.0, deferrable=False) for tier in TIERS]
    with capture_logs(), pytest.raises(AssertionError, match="I10: free"):
        run(simulate(1, 1.0, rush=6.0, tiers=tiers))


def test_a_seed_decides_everything() -> None:
    """Ensures that a failing run can be repeated: the same seed leaves the same jobs, another one does not."""
    first, again, other = (run(simulate(seed, 1.0)).witness.jobs for seed in (7, 7, 8))
    assert first == again
    assert first != other
