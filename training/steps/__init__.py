"""Entry points of the training image; only they know `/opt/ml`."""
