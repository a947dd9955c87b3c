"""A trained model's answers, and what they are worth: the one path that evaluate, gate and predict share."""
