"""Tickets for tests of the schedulers, and who is in their calls."""

from mezzotint.inference.batching.scheduler import Batch, Scheduler, Ticket


def ticket(number: int, shape: str = "a", rows: int = 1, steps: int = 3, priority: int = 0) -> Ticket:
    return Ticket(number, shape, rows, steps, priority)


def numbers(batch: Batch | None) -> list[int]:
    return [seat.ticket.number for seat in batch.seats] if batch else []


def calls(scheduler: Scheduler, most: int = 1000) -> list[list[int]]:
    """Who is in each of the calls to come."""
    made: list[list[int]] = []
    while len(made) < most and (batch := scheduler.schedule()):
        made.append(numbers(batch))
        scheduler.update()
    return made
