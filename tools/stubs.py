"""Generate the Python stubs from protos/ into services/, and the descriptor image that `buf lint` reads.

    python -m tools.stubs generate            rewrite services/mezzotint/api and services/buf
    python -m tools.stubs check               fail when the committed stubs differ from what the protos give
    python -m tools.stubs image OUT.binpb     write the image, imports marked as imports

`buf/validate/validate.proto` is not copied into the repository: its descriptor is taken from the `protovalidate` package.
"""

import filecmp
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
SERVICES = ROOT / "services"
# The generated trees below services/; every file in them is generated.
GENERATED = ("mezzotint/api", "buf")
WELL_KNOWN = Path(str(resources.files(grpc_tools) / "_proto"))
# Buf's extension field of FileDescriptorProto with is_import = true (buf.alpha.image.v1.ImageFileExtension), encoded.
MARKED_AS_IMPORT = b"\xd2\xf6\x03\x02\x08\x01"

# The type stub plugins print each file they write unless told not to.
QUIET = {"--mypy_out": "quiet:", "--mypy_grpc_out": "quiet:"}


def main(arguments: list[str]) -> int:
    """Run the command named first in `arguments` and return the process's exit code."""
    match arguments:
        case ["generate"]:
            replace_committed()
            return 0
        case ["check"]:
            return check()
        case ["image", out]:
            Path(out).write_bytes(image().SerializeToString())
            return 0
    print(__doc__, file=sys.stderr)
    return 2


def replace_committed() -> None:
    """Generate anew, and only when that went well replace what is committed."""
    with tempfile.TemporaryDirectory(dir=ROOT) as scratch:
        generate(Path(scratch))
        for tree in GENERATED:
            shutil.rmtree(SERVICES / tree, ignore_errors=True)
            shutil.move(Path(scratch) / tree, SERVICES / tree)


def generate(target: Path) -> None:
    """Write both generated trees below `target`, an empty folder."""
    protoc("--python_out", "--grpc_python_out", "--mypy_out", "--mypy_grpc_out", target=target, files=our_files())
    protoc("--python_out", "--mypy_out", target=target, files=["buf/validate/validate.proto"])
    for stub in list(services_without_methods(target)):
        stub.unlink()
    for folder in package_folders(target):
        (folder / "__init__.py").write_text('"""Generated from protos/ by tools/stubs.py. Never edited."""\n')


def check() -> int:
    """Compare a fresh generation with the committed stubs; 0 when they are the same."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        different = sorted(differences(Path(scratch)))
    for name in different:
        print(f"{name} is not what protos/ gives; run `make protos`", file=sys.stderr)
    return 1 if different else 0


def differences(fresh: Path) -> Iterator[str]:
    """Name the files that differ between `fresh` and services/, or stand on one side only."""
    names = {
        path.relative_to(root) for root in (fresh, SERVICES) for tree in GENERATED for path in (root / tree).rglob("*.py*")
    }
    for name in (name for name in names if "__pycache__" not in name.parts):
        here, there = SERVICES / name, fresh / name
        if not (here.exists() and there.exists() and filecmp.cmp(here, there, shallow=False)):
            yield f"services/{name}"


def image() -> descriptor_pb2.FileDescriptorSet:
    """All files with their comments, those not ours marked as imports so that no linter judges them."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "image.binpb"
        run_protoc([f"--descriptor_set_out={out}", "--include_imports", "--include_source_info", *our_files()])
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    marked = descriptor_pb2.FileDescriptorSet()
    for file in files.file:
        suffix = b"" if file.name.startswith("mezzotint/") else MARKED_AS_IMPORT
        marked.file.add().ParseFromString(file.SerializeToString() + suffix)
    return marked


def protoc(*outputs: str, target: Path, files: list[str]) -> None:
    """Generate `files` with every plugin in `outputs` into `target`."""
    run_protoc([f"{output}={QUIET.get(output, '')}{target}" for output in outputs] + files)


def run_protoc(arguments: list[str]) -> None:
    """Run protoc with our protos, the well-known types and Buf's validation rules on its path."""
    with tempfile.TemporaryDirectory() as scratch:
        rules = Path(scratch) / "validate.binpb"
        rules.write_bytes(validation_rules().SerializeToString())
        paths = [f"--descriptor_set_in={rules}", f"--proto_path={PROTOS}", f"--proto_path={WELL_KNOWN}"]
        plugins = [
            f"--plugin={name}={Path(sys.executable).parent / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
        ]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *paths, *plugins, *arguments], check=True)


def validation_rules() -> descriptor_pb2.FileDescriptorSet:
    """The descriptor of buf/validate/validate.proto and of the well-known types it imports."""
    rules = descriptor_pb2.FileDescriptorSet()
    for file in (*validate_pb.desc().dependencies, validate_pb.desc()):
        rules.file.add().ParseFromString(file.proto.to_binary())
    return rules


def our_files() -> list[str]:
    """Every proto file of ours, relative to protos/."""
    return sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))


def services_without_methods(target: Path) -> Iterator[Path]:
    """The gRPC stubs of files that define no service: they hold imports only."""
    for path in target.rglob("*_pb2_grpc.py*"):
        if "Stub" not in path.read_text():
            yield path


def package_folders(target: Path) -> Iterator[Path]:
    """Every folder of the generated trees."""
    for tree in GENERATED:
        yield target / tree
        yield from (path for path in (target / tree).rglob("*") if path.is_dir() and path.name != "__pycache__")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
