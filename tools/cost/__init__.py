"""`anc cost`: measure what a headset sends, and estimate what a fleet costs on AWS."""
