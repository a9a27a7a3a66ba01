"""Readers of data sets: each tells the clips, their labels and their splits."""
