"""Sizes that keep a file in one head. The message says what to do instead."""

from tests.tidy.source import ROOT, Function, sources, tracked

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
APP_LINES_MAX = 80
PROTO_LINES_MAX = 300
METHODS_MAX = 12
PUBLIC_NAMES_MAX = 7
# The catalogue of errors is one list by design, a state machine has a function an arrow, a servicer a method an RPC.
MANY_NAMES = {"services/mezzotint/runtime/errors.py", "services/mezzotint/queue/transitions.py"}


def test_no_file_is_too_long() -> None:
    """Ensures that a file that outgrows its room is split."""
    lengths = {source.path: source.text.count("\n") for source in sources()}
    assert not {path: n for path, n in lengths.items() if n > FILE_LINES_MAX}, "split the file by what its parts are for"
    apps = {path: n for path, n in lengths.items() if path.endswith("/app.py") and n > APP_LINES_MAX}
    assert not apps, "app.py only constructs: move decisions to the parts it constructs"
    protos = {path: (ROOT / path).read_text().count("\n") for path in tracked("protos/*.proto")}
    assert not {path: n for path, n in protos.items() if n > PROTO_LINES_MAX}, "move messages to a file of their own"


def test_no_function_is_too_long() -> None:
    """Ensures that a function does one thing."""
    long = {
        f"{source.path}:{function.lineno} {function.name}": lines
        for source in sources()
        for function in source.functions()
        if (lines := (function.end_lineno or function.lineno) - function.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert not long, "name the function's steps and give each a function"


def test_no_class_has_too_many_methods() -> None:
    """Ensures that a class has one role; servicers have as many methods as their contract."""
    many = {
        f"{source.path}: {node.name}": count
        for source in sources()
        if not source.path.endswith("service.py") and not source.path.startswith("tests/")
        for node in source.classes()
        if (count := sum(isinstance(part, Function) for part in node.body)) > METHODS_MAX
    }
    assert not many, "split the class by role"


def test_no_module_offers_too_many_names() -> None:
    """Ensures that a module has a small face; what only it uses begins with an underscore."""
    many = {}
    for source in sources():
        if source.path.startswith("services/") and source.path not in MANY_NAMES:
            names = [node.name for node in source.tree.body if hasattr(node, "name") and not node.name.startswith("_")]
            if len(names) > PUBLIC_NAMES_MAX:
                many[source.path] = names
    assert not many, "make what only the module uses private, or split the module"
