"""One command a stage: `python -m jobs.X`."""
