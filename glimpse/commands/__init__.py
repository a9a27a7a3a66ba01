"""One absl app a file, each imported only when it is called."""
