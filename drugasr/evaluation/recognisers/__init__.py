"""Recognisers to compare: one class a family behind one protocol."""
