"""The library: what `import equipoise` offers to a script or a notebook. It stands above all wings; none imports it.

Knows nothing that a wing does not know: it takes what users have at hand, and returns objects that show themselves.
"""
