"""Tokens, certificates, users and sign-in links of the local platform."""
