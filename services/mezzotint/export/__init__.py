"""From a pipeline of the diffusers library to a folder that the inference service loads. Needs the extra `export` (torch)."""
