"""Names and places: a file's name says the kind of module it is, and each kind keeps to its own business."""

import re
from pathlib import PurePath

from tests.tidy.source import ROOT, Source, sources, tracked

SERVICES = ("auth", "ratelimit", "queue", "inference", "gateway")
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager", "base"}
TOP_LEVEL = {
    ".ci", ".dockerignore", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE",
    "Makefile", "README.md", "STYLE.md", "benchmarks", "buf.yaml", "clients", "compose.yaml", "constraints.txt", "deploy",
    "docs", "models", "protos", "pyproject.toml", "services", "tests", "tools", "training",
}  # fmt: skip
# What a domain module must not know: the wire, the store, the environment.
NOT_IN_A_DOMAIN = ("grpc", "apsw", "sqlite3", "os.environ", "fastapi", "starlette", "uvicorn", "pydantic_settings")
EDGES = re.compile(
    r"(^|/)((\w+_)?service|app|settings|__main__|worker|accounts|telemetry|metrics)\.py$|/(http|engines)/|(^|/)sqlite_\w+\.py$"
)


def of_service(source: Source) -> str:
    """The service a file belongs to, or nothing."""
    parts = PurePath(source.path).parts
    return parts[2] if source.path.startswith("services/mezzotint/") and parts[2] in SERVICES else ""


def test_names_say_something() -> None:
    """Ensures that no file is a bucket."""
    assert not [source.path for source in sources() if PurePath(source.path).stem in SAYS_NOTHING], "name it by what is in it"


def test_the_top_level_is_the_layout_of_the_architecture() -> None:
    """Ensures that nothing new appears beside the parts that are documented."""
    assert {PurePath(name).parts[0] for name in tracked()} <= TOP_LEVEL


def test_services_meet_only_through_their_stubs() -> None:
    """Ensures that a service can be replaced by anything that keeps the contract."""
    wrong = [
        f"{source.path} imports {name}"
        for source in sources()
        if (own := of_service(source))
        for name in source.imports()
        if (match := re.match(r"mezzotint\.(\w+)", name)) and match[1] in SERVICES and match[1] != own
    ]
    assert not wrong, "call the other service through mezzotint.api"


def test_the_runtime_knows_no_service() -> None:
    """Ensures that the runtime stays below all services."""
    wrong = [
        f"{source.path} imports {name}"
        for source in sources()
        if source.path.startswith("services/mezzotint/runtime/")
        for name in source.imports()
        if re.match(rf"mezzotint\.({'|'.join(SERVICES)})\b", name)
    ]
    assert not wrong


def test_domain_modules_know_no_wire_no_store_and_no_environment() -> None:
    """Ensures that decisions can be tested without a server; edges are told by their file names."""
    wrong = [
        f"{source.path} imports {name}"
        for source in sources()
        if of_service(source) and not EDGES.search(source.path)
        for name in source.imports()
        if name.split(".")[0] in NOT_IN_A_DOMAIN or name in NOT_IN_A_DOMAIN
    ]
    assert not wrong, "move the edge into service.py, app.py or an adapter and pass the decision plain values"


def test_packages_hold_no_code() -> None:
    """Ensures that importing a package does no work: __init__.py holds a docstring and re-exports."""
    import ast

    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
    wrong = [
        source.path
        for source in sources()
        if source.path.endswith("__init__.py")
        for node in source.tree.body
        if not isinstance(node, allowed)
    ]
    assert not wrong


def test_every_ignore_has_its_reason_beside_it() -> None:
    """Ensures that no check is switched off without saying why."""
    ignore = re.compile(r"#\s*(type: ignore\[[\w, -]+\]|noqa: [A-Z0-9, ]+)(.*)$")
    bare = re.compile(r"#\s*(type: ignore(?!\[)|noqa(?!:)|fmt: off|pragma: no cover)")
    wrong = []
    for source in sources():
        for number, line in enumerate(source.text.splitlines(), 1):
            found = ignore.search(line)
            if (found and "#" not in found[2]) or (bare.search(line) and "tidy" not in source.path):
                wrong.append(f"{source.path}:{number}")
    assert not wrong, "write the reason after the ignore: # type: ignore[code]  # why"


def test_tests_do_not_sleep() -> None:
    """Ensures that tests wait for what they mean, not for time to pass."""
    sleep = re.compile(r"\b(asyncio|time)\.sleep\((?!0\))")
    # The simulation runs on a loop of its own whose time is virtual: there a sleep takes none.
    elsewhere = ("tests/tidy/", "tests/queue/simulation/")
    here = [source for source in sources() if source.path.startswith("tests/") and not source.path.startswith(elsewhere)]
    wrong = [source.path for source in here if sleep.search(source.text)]
    assert not wrong, "wait on an event, a stream's message or a health watch"


def test_every_document_that_is_linked_exists() -> None:
    """Ensures that no link in the documentation leads nowhere."""
    wrong = [
        f"{name}: {target}"
        for name in tracked("*.md")
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", (ROOT / name).read_text())
        if not ((ROOT / name).parent / target).exists()
    ]
    assert not wrong
