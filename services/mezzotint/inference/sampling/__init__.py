"""From a denoiser's outputs to a picture: noise levels, the methods that step between them, pictures on their way."""
