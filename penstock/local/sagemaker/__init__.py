"""SageMaker for the laptop cloud: the registry, and jobs that really run.

Our own rather than moto's: moto's jobs complete at once and its registry drops fields, so nothing of it would be left
but dictionaries. `service` is the door, `plugin` hangs it into MiniStack, `registry` and `jobs` do the work.
"""
