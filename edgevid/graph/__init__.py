"""ONNX graphs in which every shift is one operation: export, lowering, verification."""
