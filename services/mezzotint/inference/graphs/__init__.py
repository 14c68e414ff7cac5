"""ONNX graphs: the files of a model's folder, the ways this machine can open a graph, and calls over buffers on the device.

The memory that models may take is counted here. ONNX Runtime is imported here. Imports no other room.
"""
