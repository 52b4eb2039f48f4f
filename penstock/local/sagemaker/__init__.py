"""SageMaker for the laptop cloud: model registry, jobs and endpoints that really run, and the feature store.

Our own rather than moto's: moto's jobs complete at once and its registry drops fields, so only dictionaries of it would
be left. `integration` registers SageMaker in MiniStack and dispatches requests to `registry`, `jobs`, `hosting` and
`features`; these use `container` (the process that stands in for a container), `core` and `protocol`.
"""
