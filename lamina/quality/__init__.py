"""What a day's events must look like before anything is computed from them, as data; `jobs/spark` checks it."""
