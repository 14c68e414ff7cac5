"""What a client was told, in a file that is fsynced before the server is started again."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any


class Journal:
    """Acknowledgements by job: what was said of its end, which events were seen, the latest token, and leases that are over.

    `touched` are the jobs that this life of the server told of; `fresh` begins another.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self.entries = 0
        self.requests: dict[str, str] = {}
        self.said: dict[str, dict[str, Any]] = defaultdict(dict)
        self.seen: dict[str, dict[int, str]] = defaultdict(dict)
        self.tokens: dict[str, int] = defaultdict(int)
        self.touched: set[str] = set()
        self.over: set[tuple[str, int]] = set()
        self._final_before: set[str] = set()

    def accepted(self, request_id: str, job_id: str) -> None:
        """A job was accepted."""
        self._write(job_id, request_id=request_id)
        self.requests[job_id] = request_id

    def leased(self, job_id: str, token: int) -> None:
        """A worker got a job. Its token must be new, and the job not final since an earlier life."""
        assert token > self.tokens[job_id], f"{job_id} was leased with token {token} after {self.tokens[job_id]}"
        assert job_id not in self._final_before, f"{job_id} was leased after it ended: {self.said[job_id]}"
        self._write(job_id, token=token)
        self.tokens[job_id] = token

    def ended(self, job_id: str, end: str, result: bytes = b"") -> None:
        """A job is final, as the server said."""
        assert self.said[job_id].get("end", end) == end, f"{job_id} ended as {self.said[job_id]} and as {end}"
        self._write(job_id, end=end, result=result.hex())
        self.said[job_id] |= {"end": end, "result": result}

    def settled(self, job_id: str, token: int) -> None:
        """The end of a lease was accepted: nobody may hold it any more."""
        self._write(job_id, over=token)
        self.over.add((job_id, token))

    def watched(self, job_id: str, sequence: int, name: str) -> None:
        """Somebody saw an event."""
        before = self.seen[job_id].setdefault(sequence, name)
        assert before == name, f"event {sequence} of {job_id} was {before} and is {name}"
        self._write(job_id, sequence=sequence, name=name)

    def sync(self) -> None:
        """Put it on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def fresh(self) -> None:
        """Another life begins."""
        self.touched.clear()
        self._final_before = {job_id for job_id, said in self.said.items() if "end" in said}

    def open_jobs(self) -> list[str]:
        """Jobs that nobody said are final."""
        return [job_id for job_id in self.requests if "end" not in self.said[job_id]]

    def _write(self, job_id: str, **values: object) -> None:
        self._file.write(json.dumps({"job_id": job_id, **values}) + "\n")
        self.entries += 1
        self.touched.add(job_id)
