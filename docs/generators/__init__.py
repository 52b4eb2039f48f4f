"""The pages of `docs/reference`, one module each, written from the code that they describe."""
