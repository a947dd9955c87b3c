"""What one machine needs, for `luodi run`: an origin and a remote, Airflow, and what goes from there to people."""
