"""The tiers and what each is promised."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIERS_MAX = 32


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier's share is its weight over the weights of all tiers with work, and `share_min` (0 to 1) at least."""

    name: str
    weight: float = 1.0
    share_min: float = 0.0


def parse(document: Any) -> tuple[Tier, ...]:
    """The tiers of a policy file's content. Raises ValueError that says where it is wrong."""
    entries = document.get("tiers") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise ValueError("it must hold `tiers:`, a list with at least one tier")
    if len(entries) > TIERS_MAX:
        raise ValueError(f"tiers: {len(entries)} are given, {TIERS_MAX} at most are allowed")
    tiers = tuple(parse_tier(f"tiers[{index}]", entry) for index, entry in enumerate(entries))
    if len({tier.name for tier in tiers}) < len(tiers):
        raise ValueError("tiers: two have the same name")
    if (promised := sum(tier.share_min for tier in tiers)) > 1:
        raise ValueError(f"tiers: the minimum shares add up to {promised:g}; they must not exceed 1")
    return tiers


def parse_tier(where: str, entry: Any) -> Tier:
    """One tier. Raises ValueError that says where it is wrong."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not 0 < len(entry["name"]) <= 64:
        raise ValueError(f"{where}: a tier needs a `name` of 1 to 64 characters")
    if unknown := set(entry) - {"name", "weight", "share_min"}:
        raise ValueError(f"{where}: {', '.join(sorted(map(str, unknown)))} is not known; a tier has name, weight and share_min")
    weight, share_min = number(where, entry, "weight", 1.0), number(where, entry, "share_min", 0.0)
    if not 0 < weight <= 1_000_000:
        raise ValueError(f"{where}.weight: {weight:g} is not above 0 and at most 1,000,000")
    if not 0 <= share_min <= 1:
        raise ValueError(f"{where}.share_min: {share_min:g} is not from 0 to 1")
    return Tier(entry["name"], weight, share_min)


def number(where: str, entry: Mapping[str, Any], field: str, default: float) -> float:
    """A numeric field. Raises ValueError when it is something else."""
    value = entry.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}.{field}: {value!r} is not a number")  # noqa: TRY004  # a policy file has one kind of error
    return float(value)
