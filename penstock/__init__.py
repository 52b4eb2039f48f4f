"""Penstock keeps one model in production on AWS, serverless; this is the library that all its parts share."""
