"""BentoML with LightGBM, one worker."""

import os

import bentoml
import lightgbm as lgb


@bentoml.service(workers=1)
class Bench:
    def __init__(self) -> None:
        self.booster = lgb.Booster(model_file=os.environ["BOOSTER"])

    @bentoml.api(route="/invocations")  # type: ignore[untyped-decorator]
    def predict(self, instances: list[dict[str, float]]) -> list[float]:
        scores = self.booster.predict([list(row.values()) for row in instances], num_threads=1)
        return [float(value) for value in scores]
