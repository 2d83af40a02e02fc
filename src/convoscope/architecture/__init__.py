"""What a network is: layers, how they are joined, and what follows from that by arithmetic.

Nothing here needs NumPy or PyTorch.
"""
