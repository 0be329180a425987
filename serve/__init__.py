"""The recogniser over HTTP, on Ray Serve: `serve run serve.app:build model=FOLDER lexicon=quick50`.

This package and Ray's share a word: inside it, Ray's is always `from ray import serve`.
"""
