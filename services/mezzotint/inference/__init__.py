"""The inference service: models on ONNX Runtime, drawn by slots that share every call of the denoiser.

Its rooms, each of which says what it holds and imports (tests/tidy/test_rooms.py holds them to it), from the ground up:

    graphs          ONNX graphs on this machine's devices
    sampling        the numbers between noise and picture
    models          models that draw, and their repository
    batching        who shares the next call, and the loop that makes it
    pictures        from a request to its pictures
    curves          t(batch), its knee, and the cap on rows
    work            jobs from the queue
    tensors         plain tensor models
    open_inference  their protocol

Beside them stand what builds them (app, worker_app), the servicer of pictures, settings, readiness, and the metrics of all.
"""
