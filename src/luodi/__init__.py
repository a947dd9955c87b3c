"""luodi (落地): retrain classifiers on a schedule, land a new version only when it is proven better."""
