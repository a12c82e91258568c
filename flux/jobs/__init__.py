"""Hand-offs at work: workers that run jobs, what wakes them, and what makes jobs by the clock."""
