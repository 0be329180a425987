"""Text-to-speech engines behind one protocol."""
