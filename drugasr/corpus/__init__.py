"""From a list of names to a Parquet corpus of speech: plan, synthesis, augmentation, reading."""
