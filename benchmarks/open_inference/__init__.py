"""How many requests a second does a plain ONNX file serve through the Open Inference Protocol? See README.md."""
