"""Export needs torch, diffusers and transformers: without them its tests are left out."""

from importlib.util import find_spec

NEEDED = ("torch", "diffusers", "transformers", "onnxscript")
collect_ignore_glob = [] if all(find_spec(name) for name in NEEDED) else ["*.py"]
