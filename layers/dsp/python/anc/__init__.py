"""The platform's library: adaptive filters, hearing, message formats and the use cases built on them."""
