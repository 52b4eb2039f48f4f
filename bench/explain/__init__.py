"""Explained rows beside shap, on the same graph, the same background and as many scorings."""
