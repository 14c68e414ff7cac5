"""What decides which job is next: the policy in force, and the waiting room that follows it."""

from pathlib import Path

from mezzotint.queue.policy import load
from mezzotint.queue.policy_keeper import PolicyKeeper
from mezzotint.queue.waiting_room import WaitingRoom


class Scheduling:
    """Made from the policy file at `path`. Raises StartRefused when it cannot be used."""

    def __init__(self, path: Path) -> None:
        policy = load(path)
        self.room = WaitingRoom(policy)
        self.policy = PolicyKeeper(path, policy)
        self.policy.followers.append(self.room.replace)
