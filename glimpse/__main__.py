"""`python -m glimpse`: the same as the `glimpse` command."""

from glimpse_command import run

if __name__ == "__main__":
    run()
