"""`mezzotint export`: a pipeline of diffusers as a folder of models that the inference service loads."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

# One package of each extra that an export needs.
NEEDED = {
    "torch": "export",
    "diffusers": "export",
    "transformers": "export",
    "onnxscript": "export",
    "onnx": "export",
    "onnxruntime": "cpu",
    "structlog": "server",
    "pydantic": "server",
}


@click.command(short_help="Make a model folder from a pipeline of diffusers.")
@click.argument("diffusers_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--fp16", is_flag=True, help="Weights and arithmetic in float16, but for an autoencoder that would overflow.")
@click.option("--int8", is_flag=True, help="Matrices of text encoders and denoiser in int8; for processors.")
def export(diffusers_dir: Path, out: Path, *, fp16: bool, int8: bool) -> None:
    """Write DIFFUSERS_DIR, a pipeline saved by the diffusers library, to OUT as ONNX graphs.

    Takes Stable Diffusion 1 and 2, XL and 3. Every graph is held against torch on random inputs; OUT is written whole or not at
    all. Put it into the folder of models and load it by its name. Needs `pip install 'mezzotint[server,cpu,export]'`.
    """
    if fp16 and int8:
        raise click.UsageError("--fp16 and --int8 exclude each other")
    require_export()
    # Only here: the base install has none of this.
    refused = import_module("mezzotint.export.refusal").ExportRefused
    write = import_module("mezzotint.export.export").export
    precision = "float16" if fp16 else "int8" if int8 else "float32"
    try:
        write(diffusers_dir.resolve(), out.resolve(), precision=precision, tell=lambda line: click.echo(line, err=True))
    except refused as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out} is written: put it into the folder of models and load it by its name", err=True)


def require_export() -> None:
    """Raise ClickException, saying what to install, unless all packages that an export needs are here."""
    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        raise click.ClickException(
            f"an export needs packages that are not here ({', '.join(missing)}): pip install 'mezzotint[server,cpu,export]'"
        )
