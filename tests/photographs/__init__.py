"""Simulated photographs and scans of MNIST's test digits, and how many of them are read.

`render` draws a scene; `python -m tests.photographs` prints the figures. Nothing here is used by the product.
"""
