"""Tables: files, how cells and columns are read, and what is learned of them."""
