"""The evidence of one run: pictures, its page, its tables in the terminal.

Knows values, and nothing of the config that led to them.
"""
