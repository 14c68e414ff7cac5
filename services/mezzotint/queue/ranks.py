"""Counts what stands before a point on a line: how many jobs wait with a smaller tag, and how much work they are."""

# Tags closer than this many milliseconds of work are not told apart.
GRAIN_BITS = 4
# Each level groups 64 nodes of the level below; the levels together span tags of 2^46 ms, some two thousand years of work.
FANOUT_BITS = 6
LEVELS = 7


class Ranks:
    """Jobs by tag in a sparse tree of counts: add, remove and rank cost O(levels), whatever the number of jobs."""

    def __init__(self) -> None:
        self._levels: list[dict[int, list[int]]] = [{} for _ in range(LEVELS)]
        self.count = 0
        self.cost_ms = 0

    def add(self, tag: int, cost_ms: int) -> None:
        """A job of `cost_ms` waits at `tag`."""
        self._change(tag, 1, cost_ms)

    def remove(self, tag: int, cost_ms: int) -> None:
        """A job that was added waits no more."""
        self._change(tag, -1, -cost_ms)

    def before(self, tag: int) -> tuple[int, int]:
        """The jobs before `tag` and their work in milliseconds."""
        count = cost_ms = 0
        node = tag >> GRAIN_BITS
        for level, nodes in enumerate(self._levels):
            first = 0 if level == LEVELS - 1 else node >> FANOUT_BITS << FANOUT_BITS
            for sibling in range(first, node):
                if found := nodes.get(sibling):
                    count += found[0]
                    cost_ms += found[1]
            node >>= FANOUT_BITS
        return count, cost_ms

    def _change(self, tag: int, jobs: int, cost_ms: int) -> None:
        self.count += jobs
        self.cost_ms += cost_ms
        node = tag >> GRAIN_BITS
        for nodes in self._levels:
            entry = nodes.setdefault(node, [0, 0])
            entry[0] += jobs
            entry[1] += cost_ms
            assert entry[0] >= 0, "a job left the line that was not in it"
            if not entry[0]:
                del nodes[node]
            node >>= FANOUT_BITS
