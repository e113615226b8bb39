"""The training of a run as a script of plain Keras: the project's own functions with everything known of a run put in.

Imports no TensorFlow.
"""
