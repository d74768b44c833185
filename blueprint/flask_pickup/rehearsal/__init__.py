"""Calls a running server as the platform would, and as a stranger might; needs only its address and the secret."""
