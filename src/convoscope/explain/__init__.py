"""Looking inside a network: above the waist, arrays first, and without a trace left in it."""
