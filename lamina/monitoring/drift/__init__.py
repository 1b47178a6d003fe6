"""Whether what is served still looks like what the model was trained on: on sketches, by effect and by chance."""
