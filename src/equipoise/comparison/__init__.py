"""Many runs read back and compared: units, paired tests, and the page that shows them.

Knows nothing of how the runs were trained.
"""
