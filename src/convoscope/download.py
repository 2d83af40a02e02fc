"""Fetch a file: resumed where it stopped, checked against its hash, told in one sentence."""
