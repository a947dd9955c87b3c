"""What makes and changes a user's project."""
