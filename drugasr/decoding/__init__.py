"""From the model's log-probabilities to text and to ranked names of a closed list."""
