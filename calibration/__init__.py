"""Calibration for int8: ranges, Q/DQ placement, accuracy before and after."""
