"""How fair the queue is under load: between accounts and tiers, to paying users at a peak, and in what it tells of waiting."""
