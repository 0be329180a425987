"""drugasr: from a list of drug names to a deployed recogniser of spoken drug names."""

__version__ = "0.1.0"
