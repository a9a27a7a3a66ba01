"""`python -m glimpse`: the same as the `glimpse` command."""

from glimpse.command_line import run

if __name__ == "__main__":
    run()
