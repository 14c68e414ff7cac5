"""Reads the limits file, strictly: whatever is not understood is an error that names the line and says what to write."""

import re
from pathlib import Path
from typing import NamedTuple, cast, get_args

import yaml

from mezzotint.ratelimit.calendar_quota import CalendarQuota, Period
from mezzotint.ratelimit.gcra import Gcra
from mezzotint.ratelimit.limit import Limit
from mezzotint.ratelimit.policy import Policy
from mezzotint.runtime.strict_yaml import StrictYaml, line

TIERS_MAX = 100
# Of one caller, everybody's included: each call looks at all of them.
LIMITS_A_TIER_MAX = 32
COUNT_MAX = 1_000_000_000_000
SECONDS_MAX = 31 * 86400
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
NAME_REMEDY = "1 to 64 small letters, digits, - and _"
DIMENSION = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
DIMENSION_REMEDY = "1 to 32 small letters, digits, - and _"
PERIODS = get_args(Period)
PERIOD = re.compile("|".join(PERIODS))
OVER = re.compile("account|tier")


def read(path: Path) -> Policy:
    """The policy in a limits file. Raises StartRefused, naming file, line and remedy."""
    return LimitsFile(StrictYaml.read(path, "limits file")).policy()


class Placed(NamedTuple):
    """A limit and where in the file it stands, which orders the limits of a caller."""

    line: int
    column: int
    limit: Limit


class LimitsFile:
    """One reading of a file."""

    def __init__(self, yaml_file: StrictYaml) -> None:
        self._yaml = yaml_file
        self._names: dict[str, int] = {}

    def policy(self) -> Policy:
        """What the file says."""
        node = self._yaml.top()
        top = self._yaml.mapping(node, "the file", required=("tiers",), optional=("everybody",))
        everybody = self._limits(top["everybody"], everybody=True) if "everybody" in top else []
        tiers = self._yaml.pairs(top["tiers"], "tiers")
        if not 0 < len(tiers) <= TIERS_MAX:
            self._yaml.refuse(top["tiers"], f"{len(tiers)} tiers; write 1 to {TIERS_MAX}")
        return Policy({self._yaml.word(key, NAME, NAME_REMEDY): self._tier(value, everybody) for key, value in tiers})

    def _tier(self, node: yaml.Node, everybody: list[Placed]) -> tuple[Limit, ...]:
        placed = sorted([*self._limits(node, everybody=False), *everybody], key=lambda each: each[:2])
        if len(placed) > LIMITS_A_TIER_MAX:
            self._yaml.refuse(node, f"{len(placed)} limits, everybody's included; a tier has at most {LIMITS_A_TIER_MAX}")
        return tuple(each.limit for each in placed)

    def _limits(self, node: yaml.Node, *, everybody: bool) -> list[Placed]:
        nodes = self._yaml.items(node, "limits, each `- {name: …, dimension: …, gcra: {…}}`")
        return [Placed(line(each), int(each.start_mark.column), self._limit(each, everybody)) for each in nodes]

    def _limit(self, node: yaml.Node, everybody: bool) -> Limit:
        optional = ("gcra", "calendar") if everybody else ("gcra", "calendar", "over")
        fields = self._yaml.mapping(node, "a limit", required=("name", "dimension"), optional=optional)
        name, dimension = self._name(fields["name"]), self._yaml.word(fields["dimension"], DIMENSION, DIMENSION_REMEDY)
        if ("gcra" in fields) == ("calendar" in fields):
            self._yaml.refuse(node, f"{name!r}: write either gcra or calendar")
        over = self._yaml.word(fields["over"], OVER, "account or tier") if "over" in fields else "account"
        shared = everybody or over == "tier"
        if "gcra" in fields:
            return self._gcra(fields["gcra"], name, dimension, shared)
        return self._calendar(fields["calendar"], name, dimension, shared)

    def _name(self, node: yaml.Node) -> str:
        name = self._yaml.word(node, NAME, NAME_REMEDY)
        if name in self._names:
            self._yaml.refuse(node, f"a limit on line {self._names[name]} is named {name!r} already; choose another name")
        self._names[name] = line(node)
        return name

    def _gcra(self, node: yaml.Node, name: str, dimension: str, shared: bool) -> Gcra:
        fields = self._yaml.mapping(node, "gcra", required=("count", "per_seconds", "burst"))
        count, burst = (self._yaml.whole(fields[key], COUNT_MAX) for key in ("count", "burst"))
        return Gcra(name, dimension, count, self._yaml.whole(fields["per_seconds"], SECONDS_MAX), burst, shared)

    def _calendar(self, node: yaml.Node, name: str, dimension: str, shared: bool) -> CalendarQuota:
        fields = self._yaml.mapping(node, "calendar", required=("count", "period"))
        count = self._yaml.whole(fields["count"], COUNT_MAX)
        period = self._yaml.word(fields["period"], PERIOD, ", ".join(PERIODS[:-1]) + f" or {PERIODS[-1]}")
        return CalendarQuota(name, dimension, count, cast(Period, period), shared)
