"""Images and labels: reading, splitting, decoding once, augmenting, and making batches."""
