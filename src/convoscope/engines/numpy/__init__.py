"""The engine that can be read: every operation returns its own derivative."""
