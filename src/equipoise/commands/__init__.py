"""What the commands do: a module for each, with `main`, which takes the typed words and returns the exit code."""
