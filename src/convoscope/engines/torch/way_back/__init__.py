"""Gradients of single neurons, computed on just the part of every map where there is one."""
