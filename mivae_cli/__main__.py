"""`python -m mivae_cli` is `mivae`."""

from .cli import main

if __name__ == "__main__":
    main()
