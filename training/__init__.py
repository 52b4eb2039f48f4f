"""What runs in the training image, and the models it trains."""
