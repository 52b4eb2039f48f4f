"""The whole story on real flights: `make demo`."""
