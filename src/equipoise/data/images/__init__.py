"""Images: folders, what each file is, and how it is decoded."""
