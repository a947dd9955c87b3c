"""`python -m luodi`, where the command is not on PATH."""

from luodi.cli import main

main()
