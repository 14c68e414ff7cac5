"""Who shares the next call of the denoiser, and the loop that makes it.

The schedulers of three modes are pure; lanes hold the latents. Imports models and sampling; knows nothing of requests.
"""
