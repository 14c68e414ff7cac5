"""Counts what stands before a point on a line: how many jobs wait with a smaller tag, and how much work they are."""

# Tags closer than this many milliseconds of work are not told apart.
GRAIN_BITS = 4
# Each level groups 64 nodes of the level below; the levels together span tags of 2^46 ms, some two thousand years of work.
FANOUT_BITS = 6
LEVELS = 7


class Ranks:
    """Jobs by tag in a sparse tree of counts: add and remove cost O(1), rank O(levels), whatever the number of jobs.

    What is added and removed is noted at the leaves, and brought into the tree when somebody asks; most of it has come and gone
    by then. So of all questions and changes together each costs O(levels) at most.
    """

    def __init__(self) -> None:
        self._levels: list[dict[int, list[int]]] = [{} for _ in range(LEVELS)]
        self._noted: dict[int, list[int]] = {}
        self.count = 0
        self.cost_ms = 0

    def add(self, tag: int, cost_ms: int, jobs: int = 1) -> None:
        """A job of `cost_ms` waits at `tag`, or several of so much together."""
        self.count += jobs
        self.cost_ms += cost_ms
        leaf = tag >> GRAIN_BITS
        noted = self._noted.get(leaf)
        if noted is None:
            self._noted[leaf] = [jobs, cost_ms]
        else:
            noted[0] += jobs
            noted[1] += cost_ms

    def remove(self, tag: int, cost_ms: int) -> None:
        """A job that was added waits no more."""
        self.add(tag, -cost_ms, -1)

    def before(self, tag: int) -> tuple[int, int]:
        """The jobs before `tag` and their work in milliseconds."""
        self._bring_in()
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

    def _bring_in(self) -> None:
        noted = self._noted
        self._noted = {}
        for nodes in self._levels:
            above: dict[int, list[int]] = {}
            for node, (jobs, cost_ms) in noted.items():
                entry = nodes.setdefault(node, [0, 0])
                entry[0] += jobs
                entry[1] += cost_ms
                assert entry[0] >= 0, "a job left the line that was not in it"
                if not entry[0]:
                    del nodes[node]
                parent = above.setdefault(node >> FANOUT_BITS, [0, 0])
                parent[0] += jobs
                parent[1] += cost_ms
            noted = above
