"""`python -m confcom.cli` is the `confcom` command."""

from confcom.cli.entry import run

if __name__ == "__main__":
    run()
