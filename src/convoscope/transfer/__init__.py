"""Pretrained networks: where they come from, how their files are read, what is kept of them."""
