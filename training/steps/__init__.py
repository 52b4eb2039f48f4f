"""The container's entry points. `/opt/ml` is known only here."""
