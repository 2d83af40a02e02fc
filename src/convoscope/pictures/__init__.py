"""Arrays and records to pictures: grids, heat maps, charts. Nothing is computed here."""
