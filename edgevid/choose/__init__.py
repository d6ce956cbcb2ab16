"""The cheapest verified lowering, by measuring: what ``--lowering auto`` stands for.

`edgevid.choose.choice.choose` answers it for one network: from what was measured on this machine before,
from what edgevid ships for machines like this one, or by measuring now.
"""
