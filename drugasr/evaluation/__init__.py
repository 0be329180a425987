"""Predictions, metrics and tables of recognisers."""
