"""The machine: processes and their end, full disks, and secrets that leave no trace."""
