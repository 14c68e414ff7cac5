"""The compact line of an account's jobs, and the counts of a line, against plain ones."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mezzotint.queue.account_line import GONE_MAX, AccountLine
from mezzotint.queue.job import Job
from mezzotint.queue.ranks import GRAIN_BITS, Ranks
from tests.queue.records import waiting

STEPS = st.lists(st.tuples(st.sampled_from(["add", "front", "take", "remove", "back"]), st.integers(0, 200)), max_size=300)


def job(number: int) -> Job:
    """A job accepted as this one."""
    return replace(waiting(f"job_{number}"), number=number)


@given(STEPS)
def test_a_line_holds_its_jobs_in_order(steps: list[tuple[str, int]]) -> None:
    """Ensures that jobs stand in the order of acceptance with their tags, those back again as well, whatever came before."""
    line = AccountLine()
    model: OrderedDict[str, tuple[Job, int]] = OrderedDict()
    taken: list[Job] = []
    for number, (step, choice) in enumerate(steps, 1):
        if step == "add":
            line.add(job(number), choice)
            model[f"job_{number}"] = (job(number), choice)
        elif step in ("front", "back"):
            # One that was taken before comes back, among others that were accepted before it or after.
            other = taken.pop(choice % len(taken)) if taken and step == "back" else job(number)
            line.add(other, choice, front=True)
            model[other.job_id] = (other, choice)
            model = OrderedDict(sorted(model.items(), key=lambda entry: entry[1][0].number))
        elif step == "take" and model:
            assert line.take() == model.popitem(last=False)[1]
            taken.append(job(number))
        elif step == "remove":
            chosen = list(model.values())[choice % len(model)][0] if model and choice % 3 else job(100_000 + choice)
            assert line.remove(chosen) == model.pop(chosen.job_id, (None, None))[1]
        assert len(line) == len(model)
        for waits, tag in model.values():
            assert line.tag(waits) == tag
        if model:
            assert line.first() == next(iter(model.values()))[0]


def test_the_places_of_jobs_that_are_gone_are_cleared_out() -> None:
    """Ensures that jobs keep their tags when the front of a long line is cut off, and that it is."""
    line = AccountLine()
    for number in range(4 * GONE_MAX):
        line.add(job(number), number * 10)
    for number in range(3 * GONE_MAX):
        assert line.take() == (job(number), number * 10)
        assert line.tag(job(number)) is None
    assert [line.tag(job(number)) for number in range(3 * GONE_MAX, 4 * GONE_MAX)] == [
        number * 10 for number in range(3 * GONE_MAX, 4 * GONE_MAX)
    ]
    assert len(line._jobs) < 2 * GONE_MAX + len(line)


@given(st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 5000), st.booleans(), st.booleans()), max_size=60))
def test_counts_are_the_same_whenever_they_are_asked_for(changes: list[tuple[int, int, bool, bool]]) -> None:
    """Ensures that what is noted and brought in later counts as if it had been counted at once."""
    ranks, model = Ranks(), list[tuple[int, int]]()
    for tag, cost_ms, adds, asks in changes:
        if adds or not model:
            ranks.add(tag, cost_ms)
            model.append((tag, cost_ms))
        else:
            ranks.remove(*model.pop(tag % len(model)))
        assert (ranks.count, ranks.cost_ms) == (len(model), sum(cost for _, cost in model))
        if asks:
            before = [cost for other, cost in model if other >> GRAIN_BITS < tag >> GRAIN_BITS]
            assert ranks.before(tag) == (len(before), sum(before))
