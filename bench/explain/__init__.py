"""Benchmark of explained rows beside shap, on the same graph and background, with as many scorings."""
