"""The code that runs in the training image, and the models that it trains."""
