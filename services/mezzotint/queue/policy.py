"""Reads the file that names the tiers, strictly: what is not understood is an error with its line and what to write instead."""

import re
from pathlib import Path

import yaml

from mezzotint.queue.tiers import Policy, Tier
from mezzotint.runtime.strict_yaml import StrictYaml

TIERS_MAX = 32
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
WEIGHT_MIN, WEIGHT_MAX = 0.001, 1_000_000
SECONDS_MIN, SECONDS_MAX = 0.1, 30 * 86_400
RUNNING_MAX = 1_000_000
FIELDS = ("weight", "share_min", "share_max", "wait_max_seconds", "account_running_max", "deferrable")


def load(path: Path) -> Policy:
    """The policy in a file. Raises StartRefused, naming file, line and remedy."""
    return PolicyFile(StrictYaml.read(path, "policy file")).policy()


class PolicyFile:
    """One reading of a file."""

    def __init__(self, yaml_file: StrictYaml) -> None:
        self._yaml = yaml_file

    def policy(self) -> Policy:
        """What the file says."""
        top = self._yaml.mapping(self._yaml.top(), "the policy file", required=["tiers"], optional=["peak"])
        nodes = self._yaml.items(top["tiers"], "tiers")
        if not 1 <= len(nodes) <= TIERS_MAX:
            self._yaml.refuse(top["tiers"], f"{len(nodes)} tiers; write 1 to {TIERS_MAX}")
        tiers: dict[str, Tier] = {}
        for node in nodes:
            tier = self._tier(node)
            if tier.name in tiers:
                self._yaml.refuse(node, f"the tier {tier.name!r} is there already; remove one of them")
            tiers[tier.name] = tier
        if (promised := sum(tier.share_min for tier in tiers.values())) > 1:
            self._yaml.refuse(top["tiers"], f"the minimum shares add up to {promised:g}; make them 1 at most together")
        return Policy(tuple(tiers.values()), self._objective(top, tiers))

    def _tier(self, node: yaml.Node) -> Tier:
        fields = self._yaml.mapping(node, "a tier", required=["name"], optional=FIELDS)
        number = self._yaml.decimal
        tier = Tier(
            name=self._yaml.word(fields["name"], NAME, "1 to 64 characters from a-z, 0-9, _ and -, a letter first"),
            weight=number(fields["weight"], WEIGHT_MIN, WEIGHT_MAX) if "weight" in fields else 1.0,
            share_min=number(fields["share_min"], 0, 1) if "share_min" in fields else 0.0,
            share_max=number(fields["share_max"], 0.001, 1) if "share_max" in fields else 1.0,
            wait_max_seconds=number(fields["wait_max_seconds"], SECONDS_MIN, SECONDS_MAX)
            if "wait_max_seconds" in fields
            else None,
            account_running_max=self._yaml.whole(fields["account_running_max"], RUNNING_MAX)
            if "account_running_max" in fields
            else None,
            deferrable=self._yaml.flag(fields["deferrable"]) if "deferrable" in fields else False,
        )
        if tier.share_min > tier.share_max:
            self._yaml.refuse(fields["share_min"], f"share_min is above share_max, {tier.share_max:g}; make it that at most")
        if tier.deferrable and not tier.share_min:
            self._yaml.refuse(
                fields["deferrable"], "deferred jobs are admitted at the tier's share_min; give the tier one above 0"
            )
        return tier

    def _objective(self, top: dict[str, yaml.Node], tiers: dict[str, Tier]) -> float | None:
        if "peak" not in top:
            for tier in tiers.values():
                if tier.deferrable:
                    self._yaml.refuse(
                        None, f"the tier {tier.name!r} is deferrable; say with `peak:` at what wait a peak begins"
                    )
            return None
        peak = self._yaml.mapping(top["peak"], "peak", required=["wait_objective_seconds"])
        if all(tier.deferrable for tier in tiers.values()):
            self._yaml.refuse(top["peak"], "every tier is deferrable; leave one that is not, whose wait tells of a peak")
        return self._yaml.decimal(peak["wait_objective_seconds"], SECONDS_MIN, SECONDS_MAX)
