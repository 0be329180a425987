"""CTC fine-tuning: batches, the loop (pure torch) and Ray Train around it."""
