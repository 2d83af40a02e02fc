"""The engine that runs anywhere: PyTorch. The only place that imports it."""
