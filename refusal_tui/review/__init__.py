"""Labels by people: queues, sampling, what is asked, guidelines."""
