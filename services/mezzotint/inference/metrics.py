"""What the inference service counts and times, for Prometheus. `shape` is that of one picture's latents: "4x32x32"."""

from prometheus_client import Counter, Gauge, Histogram, Summary

WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 100)

STEP_SECONDS = Histogram(
    "mezzotint_inference_step_seconds",
    "Seconds of one call of the denoiser.",
    ["model", "shape"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
CALL_SECONDS = Summary(
    "mezzotint_inference_call_seconds", "Seconds of one call of the denoiser by its rows: t(batch).", ["model", "shape", "rows"]
)
ROWS = Counter("mezzotint_inference_rows", "Rows of calls of the denoiser.", ["model", "shape"])
ROWS_CAP = Counter(
    "mezzotint_inference_rows_possible",
    "Rows that those calls had room for.",
    ["model", "shape"],
)
ROWS_WITHHELD = Counter(
    "mezzotint_inference_rows_withheld",
    "Rows of those calls that stayed empty although pictures waited that would fill them.",
    ["model", "shape"],
)
ROWS_PADDED = Counter(
    "mezzotint_inference_rows_padded",
    "Rows that those calls were filled up with, to a number of rows that is recorded: computed and thrown away.",
    ["model", "shape"],
)
ROWS_LIMIT = Gauge("mezzotint_inference_rows_max", "Rows that one call may have: the knee, or the setting.", ["model", "shape"])
SLOT_WAIT_SECONDS = Histogram(
    "mezzotint_inference_slot_wait_seconds",
    "Seconds that a prepared picture waits for its slot.",
    ["model", "shape"],
    buckets=WAIT_BUCKETS,
)
JOIN_SECONDS = Histogram(
    "mezzotint_inference_join_seconds",
    "Seconds from a prepared picture's submission to the end of its first step.",
    ["model", "shape"],
    buckets=WAIT_BUCKETS,
)
STEPS = Counter("mezzotint_inference_steps", "Steps made, of all pictures.", ["model", "shape"])
STEPS_SAVED = Counter(
    "mezzotint_inference_steps_saved", "Steps that were not made because their picture was cancelled.", ["model", "shape"]
)
PUT_ASIDE = Counter("mezzotint_inference_put_aside", "Times a picture left its slot for a better priority.", ["model", "shape"])
SLOTS = Gauge("mezzotint_inference_slots_in_use", "Pictures in slots.")
WAITING = Gauge("mezzotint_inference_pictures_waiting", "Pictures that wait for a slot.")
ASIDE = Gauge("mezzotint_inference_pictures_aside", "Pictures that left their slot for others and will come back.")
PICTURES = Counter("mezzotint_inference_pictures", "Pictures by how they ended: finished, cancelled, failed.", ["end"])
JOBS = Counter("mezzotint_inference_jobs", "Jobs from the queue by how they ended here.", ["end"])
QUEUE_WAIT_SECONDS = Histogram(
    "mezzotint_inference_queue_wait_seconds",
    "Seconds from a job's acceptance to its lease, by the clocks of both machines.",
    ["tier"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200),
)
WARM_STEP_SECONDS = Gauge(
    "mezzotint_inference_warm_step_seconds", "Seconds of a call at the warm-up, by its rows.", ["model", "shape", "rows"]
)
EMBEDDINGS = Counter("mezzotint_inference_embeddings", "Prompts looked up among the kept embeddings.", ["found"])

TENSOR_REQUESTS = Counter(
    "mezzotint_inference_tensor_requests",
    "Requests of tensor models by how they ended; those that found no model have none.",
    ["model", "end"],
)
TENSOR_WAITING = Gauge(
    "mezzotint_inference_tensor_requests_waiting", "Requests that wait for a call of their tensor model.", ["model"]
)
TENSOR_BYTES = Gauge("mezzotint_inference_tensor_bytes", "Bytes that requests and unsent answers of tensor models hold.")
TENSOR_CALL_SECONDS = Histogram(
    "mezzotint_inference_tensor_call_seconds",
    "Seconds of one call of a tensor model.",
    ["model"],
    buckets=(0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
TENSOR_CALL_ROWS = Histogram(
    "mezzotint_inference_tensor_call_rows",
    "Rows of one call of a tensor model: requests, where they share none.",
    ["model"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
)
TENSOR_QUEUE_SECONDS = Histogram(
    "mezzotint_inference_tensor_queue_seconds",
    "Seconds that a request of a tensor model waited for its call.",
    ["model"],
    buckets=(0.0001, 0.0005, *WAIT_BUCKETS),
)
