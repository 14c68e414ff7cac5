"""What a request costs, in milliseconds of the device."""

from mezzotint.inference.batching.denoising_loop import Call


class Bill:
    """`model_ms` counts every call the request took part in, in full; `cost_ms` only its rows' share of them."""

    def __init__(self) -> None:
        self.model_ms = self.cost_ms = 0.0
        self._last_call = 0

    def add_call(self, call: Call) -> None:
        """Add one picture's part in a call of the denoiser; the call itself counts once, however many pictures were in it."""
        self.model_ms += call.ms if call.number != self._last_call else 0.0
        self.cost_ms += call.share_ms
        self._last_call = call.number

    def add_own(self, ms: float) -> None:
        """Add work that was this request's alone."""
        self.model_ms += ms
        self.cost_ms += ms
