"""How many urgent jobs a worker can take although its slots are taken: as many as less urgent pictures it holds can make way.

Pure. Counted in pictures with guidance, as credits are.
"""

from collections.abc import Iterable, Mapping

# Rows of a picture with guidance.
ROWS = 2


def urgent(held: Iterable[tuple[int, int]], over_rows: int, priorities: Mapping[str, int]) -> tuple[int, tuple[str, ...]]:
    """The pictures that could take slots of others, and their tiers: as many tiers as there is any such slot for.

    `held` has the priority of each job under way, lower ones go first, and the rows that its unfinished pictures take;
    `over_rows` are taken beyond the slots already: by urgent pictures that came before, for which others made way.
    """
    rows = list(held)
    for priority in sorted(set(priorities.values()), reverse=True):
        behind = sum(taken for theirs, taken in rows if theirs > priority)
        if (pictures := (behind - over_rows) // ROWS) > 0:
            return pictures, tuple(sorted(tier for tier, each in priorities.items() if each <= priority))
    return 0, ()
