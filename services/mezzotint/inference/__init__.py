"""The inference service: models on ONNX Runtime, drawn by slots that share every call of the denoiser."""
