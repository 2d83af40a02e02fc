"""By which names, and in which layouts, others keep the parameters that we know."""
