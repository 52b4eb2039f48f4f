"""The container's server beside others: the same model, the same row, one core each."""
