"""Kernels as TIR: one file a family, each with its loop nest, its weights' layout and its tiles."""
