"""The base install is enough for the client and the command line."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
# grpc itself imports these where they are installed.
OF_GRPC = {"grpc_reflection", "grpc_tools"}
PROGRAM = """
import json, sys
{statement}
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def names(requirements: list[str]) -> set[str]:
    return {Requirement(text).name.lower() for text in requirements}


@pytest.mark.parametrize(
    "statement",
    ["import mezzotint_client", "import mezzotint_client.cli", "import mezzotint_client.suite, mezzotint_client.local_account"],
)
def test_no_package_of_an_extra_is_imported(statement: str) -> None:
    """What the client imports is in the base install, also at the start of the command line and of the suite."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set().union(*(names(listed) for listed in project["optional-dependencies"].values()))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=statement)], capture_output=True, text=True, check=True
    )
    loaded, owners = set(json.loads(done.stdout)), packages_distributions()
    assert {"grpc", "google", "opentelemetry"} <= loaded
    # Where a package of the base install shares a name with one of an extra (opentelemetry), the name says nothing.
    of_extras = {name for name in loaded - OF_GRPC if owners.get(name) and {owner.lower() for owner in owners[name]} <= extras}
    assert of_extras == set()
