"""What the inference service counts and times, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

STEP_SECONDS = Histogram(
    "mezzotint_inference_step_seconds",
    "Seconds of one call of the denoiser.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
ROWS = Histogram(
    "mezzotint_inference_rows", "Rows of one call of the denoiser.", buckets=(1, 2, 4, 6, 8, 12, 16, 32, 64, 128, 256)
)
SLOTS = Gauge("mezzotint_inference_slots_in_use", "Pictures in slots.")
WAITING = Gauge("mezzotint_inference_pictures_waiting", "Pictures that wait for a slot.")
PICTURES = Counter("mezzotint_inference_pictures", "Pictures by how they ended: finished, cancelled, failed.", ["end"])
JOBS = Counter("mezzotint_inference_jobs", "Jobs from the queue by how they ended here.", ["end"])
QUEUE_WAIT_SECONDS = Histogram(
    "mezzotint_inference_queue_wait_seconds",
    "Seconds from a job's acceptance to its lease, by the clocks of both machines.",
    ["tier"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200),
)
WARM_STEP_SECONDS = Gauge("mezzotint_inference_warm_step_seconds", "Seconds of a call at the warm-up.", ["model", "rows"])
EMBEDDINGS = Counter("mezzotint_inference_embeddings", "Prompts looked up among the kept embeddings.", ["found"])
