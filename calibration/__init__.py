"""Calibration for int8: ranges, Q/DQ placement, accuracy before and after.

Empty in this version: every target refuses ``int8`` and names the precisions it has.
"""
