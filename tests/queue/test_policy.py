"""The policy file: what it can say, what it must not, and that another one takes its place without a restart."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.queue.policy import PolicyFile, load
from mezzotint.queue.policy_keeper import PolicyKeeper
from mezzotint.queue.tiers import Policy, Tier
from mezzotint.runtime.bundled import bundled
from mezzotint.runtime.errors import PolicyInvalid, StartRefused
from mezzotint.runtime.strict_yaml import StrictYaml

GOOD = """
peak: {wait_objective_seconds: 2.5}
tiers:
  - name: free
    weight: 2
    share_min: 0.1
    share_max: 0.5
    wait_max_seconds: 90
    account_running_max: 3
    deferrable: true
  - {name: pro}
"""


def test_every_field_arrives() -> None:
    """Ensures that the file means what it says, in its order, with defaults for what is left out."""
    policy = PolicyFile(StrictYaml("f", GOOD.encode())).policy()
    assert policy == Policy((Tier("free", 2.0, 0.1, 0.5, 90.0, 3, deferrable=True), Tier("pro")), 2.5)


def test_the_shipped_policy_is_valid() -> None:
    """Ensures that the policy that comes with the product can be used, and defers the free tier only."""
    policy = load(bundled("deploy/tiers.yaml"))
    assert policy.names() == ["free", "plus", "pro", "enterprise"]
    assert policy.deferrable() == {"free"}
    assert policy.wait_objective_seconds


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "f: the file is empty"),
        ("tiers: []", "f:1: 0 tiers; write 1 to 32"),
        ("tears: []", "f:1: the policy file has no field 'tears'"),
        ("tiers:\n- weight: 1", "f:2: a tier lacks name"),
        ("tiers:\n- name: a\n- name: a", "f:3: the tier 'a' is there already"),
        ("tiers:\n- name: a\n  wieght: 1", "f:3: a tier has no field 'wieght'"),
        ("tiers:\n- name: a\n  weight: 0", "f:3: '0': write a number from 0.001 to 1,000,000"),
        ("tiers:\n- name: a\n  weight: much", "f:3: 'much': write a number"),
        ("tiers:\n- name: a\n  weight: .nan", "f:3: '.nan': write a number"),
        ("tiers:\n- name: a\n  weight: '1'", "f:3: '1': write a number"),
        ("tiers:\n- name: a\n  share_min: 0.7\n- name: b\n  share_min: 0.7", "f:2: the minimum shares add up to 1.4"),
        ("tiers:\n- name: a\n  share_min: 0.5\n  share_max: 0.4", "f:3: share_min is above share_max, 0.4"),
        ("tiers:\n- name: a\n  wait_max_seconds: 0", "f:3: '0': write a number from 0.1"),
        ("tiers:\n- name: a\n  account_running_max: 0", "f:3: '0': write a whole number from 1"),
        ("tiers:\n- name: a\n  deferrable: yes", "f:3: 'yes': write true or false"),
        ("tiers:\n- name: a\n  deferrable: true", "f:3: deferred jobs are admitted at the tier's share_min"),
        (
            "tiers:\n- name: a\n  share_min: 0.1\n  deferrable: true\n- name: b",
            "f: the tier 'a' is deferrable; say with `peak:`",
        ),
        ("peak: {wait_objective_seconds: 1}\ntiers: [{name: a, share_min: 0.1, deferrable: true}]", "f:1: every tier is"),
        ("peak: {}\ntiers: [{name: a}]", "f:1: peak lacks wait_objective_seconds"),
        ("tiers:\n- name: [", "f:"),
    ],
)
def test_a_bad_policy_says_where_it_is_wrong(content: str, said: str) -> None:
    """Ensures that whoever writes the file is led to the line at fault."""
    with pytest.raises(StartRefused) as caught:
        PolicyFile(StrictYaml("f", content.encode())).policy()
    assert str(caught.value).startswith(said)


@given(st.one_of(st.binary(max_size=100), st.text(alphabet="tiersnamepak:-[]{}, \n0.1", max_size=120).map(str.encode)))
def test_whatever_the_file_holds_it_is_read_or_refused(content: bytes) -> None:
    """Ensures that no content ends in anything but a policy or a message."""
    with contextlib.suppress(StartRefused):
        PolicyFile(StrictYaml("f", content)).policy()


async def test_a_changed_file_is_followed_and_a_bad_one_is_not(tmp_path: Path) -> None:
    """Ensures that a new policy is in force when `reload` returns, and that a mistake leaves the old one, naming the line."""
    path = tmp_path / "tiers.yaml"
    path.write_text(GOOD)
    keeper = PolicyKeeper(path, load(path))
    seen: list[Policy] = []
    keeper.followers.append(seen.append)
    assert await keeper.reload() == (["free", "pro"], False)
    path.write_text(GOOD.replace("weight: 2", "weight: 3"))
    assert await keeper.reload() == (["free", "pro"], True)
    path.write_text(GOOD.replace("weight: 2", "weight: -1"))
    with pytest.raises(PolicyInvalid, match=rf"{path}:5: '-1': write a number"):
        await keeper.reload()
    assert [policy.tiers[0].weight for policy in [*seen, keeper.current]] == [3.0, 3.0]


async def test_the_file_is_looked_at_again_only_when_it_changed(tmp_path: Path) -> None:
    """Ensures that looking finds a change, keeps the policy when the file is bad or gone, and finds it when it is back."""
    path = tmp_path / "tiers.yaml"
    path.write_text(GOOD)
    keeper = PolicyKeeper(path, load(path))
    seen: list[Policy] = []
    keeper.followers.append(seen.append)
    for content in (GOOD.replace("name: pro", "name: enterprise"), "tiers: 7\n", None, GOOD):
        if content is None:
            path.unlink()
        else:
            path.with_suffix(".new").write_text(content)
            path.with_suffix(".new").replace(path)
        for _ in range(3):
            await keeper.look()
        assert keeper.current.names()[1] == ("pro" if content == GOOD else "enterprise")
    assert [policy.names()[1] for policy in seen] == ["enterprise", "pro"]
