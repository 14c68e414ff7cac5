"""The Dockerfile: a pinned base, an ordinary user, no secret, and all that the wheel is made from."""

import re
import subprocess
from pathlib import PurePath

from tests.deploy.files import final_stage, instructions, project
from tests.tidy.source import ROOT, sources, tracked


def test_the_base_is_pinned_and_the_python_we_test() -> None:
    """Ensures that a build next year starts from the same release of Python and Debian."""
    stages = {rest.partition(" AS ")[2] for word, rest in instructions() if word == "FROM"}
    bases = {rest.partition(" AS ")[0] for word, rest in instructions() if word == "FROM"} - stages
    assert bases == {"python:3.11-slim-bookworm"}
    assert project()["project"]["requires-python"] == ">=3.11"


def test_the_image_runs_as_an_ordinary_user_by_number() -> None:
    """Ensures that an orchestrator can see that it is not root, and that volumes keep their owner."""
    user = [rest for word, rest in final_stage() if word == "USER"][-1]
    assert re.fullmatch(r"(\d{4,}):\1", user)
    assert f"--uid {user.partition(':')[0]} " in " ".join(rest for word, rest in final_stage() if word == "RUN")
    last_run = max(number for number, (word, _) in enumerate(final_stage()) if word in {"RUN", "COPY"})
    assert ("USER", user) in final_stage()[last_run:], "what follows USER belongs to it"


def test_no_secret_is_built_in() -> None:
    """Ensures that nothing secret is passed as an argument or variable, which the image's history would show."""
    named = [rest for word, rest in instructions() if word in {"ARG", "ENV"}]
    assert not [text for text in named if re.search(r"(?i)password|secret|token|credential|api_?key", text)]
    assert not [rest for word, rest in instructions() if word == "ADD" or "http://" in rest or "https://" in rest]


def test_dependencies_have_a_layer_before_the_source() -> None:
    """Ensures that a change of the source does not install everything anew."""
    words = [(word, rest) for word, rest in instructions() if word in {"COPY", "RUN"}]
    first = next(number for number, (word, rest) in enumerate(words) if word == "RUN" and " install " in rest)
    assert [rest.split()[:-1] for word, rest in words[:first] if word == "COPY"] == [["pyproject.toml", "constraints.txt"]]
    assert not [rest for word, rest in words if "pip --python" in rest and "-c constraints.txt" not in rest]


def test_the_context_is_what_the_wheel_is_made_from() -> None:
    """Ensures that the build sees every file that it needs, and nothing that merely lies about."""
    build = project()["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {PurePath(path).parts[0] for path in [*build["packages"], *build["force-include"]]}
    needed |= {"pyproject.toml", "constraints.txt", project()["project"]["readme"], *project()["project"]["license-files"]}
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == needed


def test_all_that_services_read_at_run_time_is_in_the_wheel() -> None:
    """Ensures that bundled(…) finds the same files in an installed package as in a checkout."""
    included = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    names = {name for source in sources() for name in re.findall(r"\bbundled\(\"([^\"]+)\"\)", source.text)}
    assert names
    for name in names:
        assert included[name] == f"mezzotint/bundled/{name}"
        assert tracked(name), f"{name} is in no commit"


def test_what_git_ignores_stays_out_of_packages() -> None:
    """Ensures that no compiled or private file slips into the image beside the source."""
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert {"**/__pycache__", "**/*.pyc"} <= set(patterns)
    listed = subprocess.run(
        ["git", "ls-files", "--", "*.key", "*.pem", ".env"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""
