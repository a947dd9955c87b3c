"""Smaller models of an exported one: how they are made, and which of them lands."""
