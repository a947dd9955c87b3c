"""What is asked of a model in use, beside what it was trained on; and what is to be done about it."""
