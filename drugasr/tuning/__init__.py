"""The search over frozen layers and learning rate, and its report."""
