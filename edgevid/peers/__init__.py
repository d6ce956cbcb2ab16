"""What a user would run a network with instead, made as its own documentation says.

- `edgevid.peers.published` is the network in PyTorch, its shifts written as the published code does;
- `edgevid.peers.exports` are ONNX files of it, and their int8 by the runtimes' own tools;
- `edgevid.peers.catalogue` lists the peers, each a name and how it is made and opened;
- `edgevid.peers.measure` holds each to a bundle's logits and measures all of them beside it.
"""

from __future__ import annotations

from edgevid.peers.catalogue import PEERS
from edgevid.peers.measure import bench_peers

__all__ = ["PEERS", "bench_peers"]
