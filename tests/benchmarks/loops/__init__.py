"""Training loops that run forever, each in a process of its own, a few steps whenever they are asked to.

Threads, flushed denormals and memory that a loop keeps to itself cannot reach another one so, and the steps are those
of the loop itself, not of a copy of its body: a loop stops wherever it calls its gate.
"""
