"""Names of drugs: the shipped lists, reading a user's own, sound-alikes."""
