"""Teaching a network: settings, schedules, stopping, events, and the loop that joins them."""
