"""What our parts cost beside those that they replace: `python -m benchmarks.ranking`, or `make bench` for all."""
