"""Every figure, computed from saved predictions, with its interval."""
