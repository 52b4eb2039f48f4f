"""Benchmark of how a request's CSV body and content types are read: our two modules beside libraries."""
