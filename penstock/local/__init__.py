"""The laptop cloud: MiniStack with SageMaker in it, as a managed background process.

Start with `penstock.local.host.cloud.LaptopCloud`; everything else serves it. Nothing deployed imports from here.
"""

from penstock.local.host.cloud import CloudError, CloudStatus, LaptopCloud

__all__ = ["CloudError", "CloudStatus", "LaptopCloud"]
